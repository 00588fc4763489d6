/** Watches an answer pass: when its first token came, how many came, and what LM Studio says it used. */
import type { TokenUsage } from "../seeing/record.ts";
import { EventReader } from "./events.ts";
import { bringsToken } from "./first-token.ts";
import type { AnswerForm } from "./form.ts";
import { UsageFinder } from "./usage-finder.ts";

const nothing = Buffer.alloc(0);
const lineFeed = 10;
/** The event that is not complete, before the first token. A response's beginning repeats its instructions and tools. */
const longestEvent = 1_048_576;
/** Longer than any marker. */
const carried = 32;

/**
 * What stands once in each event that brings a token, and in no other; the first one that the first such event holds is looked for.
 * None begins with a quote: the search goes from one first letter to the next.
 */
const markers: Readonly<Record<AnswerForm, readonly string[]>> = {
  responses: ['.delta"', 'arguments.done"'],
  chat: ['delta":{"', 'delta": {"'],
  messages: ['content_block_delta"'],
  "native-chat": ['.delta"', 'tool_call.arguments"'],
  completions: ['text":"', 'text": "'],
};
const anyEvent = "\n\n";

export class AnswerMeter {
  readonly #form: AnswerForm;
  readonly #stream: boolean;
  readonly #usage: UsageFinder;
  readonly #reader = new EventReader();
  #pending: Buffer = nothing;
  /** The last bytes that came, as far as a marker may begin in them; empty between events. */
  #before: Buffer = nothing;
  #marker: Buffer | undefined;
  #events = 0;

  constructor(form: AnswerForm, stream: boolean) {
    this.#form = form;
    this.#stream = stream;
    this.#usage = new UsageFinder(form === "native-chat" ? "stats" : "usage");
  }

  /** Text, reasoning or a tool call's arguments came; never of an answer that is not streamed. */
  get sawToken(): boolean {
    return this.#marker !== undefined;
  }

  /** Events that brought such. */
  get events(): number {
    return this.#events;
  }

  observe(chunk: Buffer): void {
    const before = this.#before;
    this.#usage.read(before, chunk);
    if (this.#marker !== undefined) {
      if (before.length > 0) this.#countAcross(before, chunk, this.#marker);
      this.#count(chunk, 0, this.#marker);
    } else if (this.#stream) {
      this.#awaitToken(chunk);
    }
    this.#before = lastBytes(before, chunk);
  }

  /** As LM Studio counted; without its word each event of a stream is taken for one token. Undefined when nothing is known. */
  usage(): TokenUsage | undefined {
    const counts = this.#usage.counts();
    if (counts === undefined && this.#events === 0) return undefined;
    const { input = 0, output = 0, cached = 0, reasoning = 0 } = counts ?? {};
    // An answer that broke off may have told its input only.
    return { input, output: output > 0 ? output : this.#events, cached, reasoning };
  }

  #awaitToken(chunk: Buffer): void {
    const bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    let at = 0;
    while (this.#reader.read(bytes, at)) {
      if (this.#bringsToken(bytes)) {
        this.#begin(bytes, at, this.#reader.end);
        return;
      }
      at = this.#reader.end;
    }
    // An event that long is no token; what is left of it will not be one either.
    this.#pending = bytes.length - at > longestEvent ? nothing : bytes.subarray(at);
  }

  #bringsToken(bytes: Buffer): boolean {
    const { dataStart, dataEnd, nameStart, nameEnd, dataLines } = this.#reader;
    if (dataLines === 0 || isBeginning(bytes, dataStart, dataEnd)) return false;
    const data = bytes.toString("utf8", dataStart, dataEnd);
    try {
      const event: unknown = JSON.parse(dataLines > 1 ? data.replaceAll(/\r?\n(?:data:)?/g, " ") : data);
      return bringsToken(this.#form, event, bytes.toString("latin1", nameStart, nameEnd));
    } catch {
      return false;
    }
  }

  #begin(bytes: Buffer, from: number, to: number): void {
    this.#pending = nothing;
    const first = bytes.subarray(from, to);
    this.#marker = Buffer.from(markers[this.#form].find((marker) => first.includes(marker)) ?? anyEvent);
    this.#count(bytes, from, this.#marker);
  }

  #count(bytes: Buffer, from: number, marker: Buffer): void {
    for (let at = bytes.indexOf(marker, from); at >= 0; at = bytes.indexOf(marker, at + marker.length))
      this.#events += 1;
  }

  /** A marker that the network cut in two. */
  #countAcross(before: Buffer, chunk: Buffer, marker: Buffer): void {
    const room = marker.length - 1;
    this.#count(Buffer.concat([before.subarray(-room), chunk.subarray(0, room)]), 0, marker);
  }
}

/** The answer's beginning, which brings back the whole request: not worth parsing. */
function isBeginning(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 4096) return false;
  const head = bytes.toString("latin1", start, start + 256);
  return head.includes("response.created") || head.includes("response.in_progress");
}

/** No marker goes over a line's end. A chunk shorter than a marker is put together with what was before it. */
function lastBytes(before: Buffer, chunk: Buffer): Buffer {
  if (chunk[chunk.length - 1] === lineFeed) return nothing;
  const known = chunk.length < carried && before.length > 0 ? Buffer.concat([before, chunk]) : chunk;
  return known.subarray(-carried);
}
