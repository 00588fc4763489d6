/**
 * LM Studio's answer on its way to a client that speaks the Responses API as Codex does: calls get back the names and forms that the client knows,
 * what a strict reader misses is added, and what went wrong becomes a fault.
 *
 * An event is only read where something may have to be done. The pieces of texts, nearly all of an answer, pass as the bytes that they are.
 */
import { EventReader, mayEndEvent } from "../../answer/events.ts";
import type { AnswerFilter } from "../../answer/filter.ts";
import { isText } from "../../answer/outline.ts";
import { Output } from "../../answer/output.ts";
import type { Fault } from "../../errors/fault.ts";
import { isRecord, type Json, parsed } from "../../unknown-json.ts";
import { Answer, type AnswerParts } from "./answer.ts";
import { addRenumbered } from "./numbers.ts";
import { eventData, Pieces } from "./pieces.ts";
import type { RepairKind } from "./repairs.ts";
import type { Round } from "./rounds.ts";

const nothing = Buffer.alloc(0);
const blankLine = Buffer.from("\n\n");
const typeFirst = '{"type":"';
const piece = ".delta";
const argumentsPiece = "response.function_call_arguments.delta";
const quote = 34;
const openBrace = 123;

/** Bytes without an event's end beyond which this is no event stream; they pass as they come. */
const longestEvent = 33_554_432;
/** Of pieces kept for items whose end may not come; of a longer text it is not made up for. */
const mostKept = 16_777_216;
/** A beginning repeats the request; its id stands at the front. */
const longestFront = 512;
const idInFront = /"response"\s*:\s*\{[^{}[\]]*?"id"\s*:\s*"([^"\\]+)"/;

const isBeginning: ReadonlySet<string> = new Set(["response.created", "response.queued", "response.in_progress"]);
/** Events that are read. All others pass. */
const isRead: ReadonlySet<string> = new Set([
  ...isBeginning,
  "response.output_item.added",
  "response.output_item.done",
  "response.function_call_arguments.delta",
  "response.function_call_arguments.done",
  "response.completed",
  "response.incomplete",
  "response.done",
  "response.failed",
  "error",
]);

export class AnswerTranslator implements AnswerFilter {
  readonly #answer: Answer;
  readonly #reader = new EventReader();
  readonly #output = new Output();
  /** An event's beginning, the rest of which has not come. */
  #rest: Buffer[] = [];
  #restLength = 0;
  /** Chunks with pieces of items that are not complete. */
  #kept: Buffer[] = [];
  #keptLength = 0;
  #sawPiece = false;
  /** What is being read. */
  #bytes: Buffer = nothing;
  /** What is added to the sequence numbers of what passes, and the number of the next event when LM Studio numbers none. */
  #shift = 0;
  #next: number | undefined;

  constructor(parts: Omit<AnswerParts, "pieces">) {
    this.#answer = new Answer({ ...parts, pieces: () => this.#pieces() });
  }

  /** What went wrong by LM Studio's own word. The answer is over, whatever still comes. */
  get fault(): Fault | undefined {
    return this.#answer.fault;
  }

  /** LM Studio has said that its answer is complete, and it is. */
  get complete(): boolean {
    return this.#answer.ended && this.#answer.fault === undefined;
  }

  get names(): Answer["names"] {
    return this.#answer.names;
  }

  get repairs(): ReadonlyMap<RepairKind, number> {
    return this.#answer.repairs;
  }

  /** Set when LM Studio's answer has ended and called searches: the end is held until `nextRound` or `finish`. */
  get round(): Round | undefined {
    return this.#answer.round;
  }

  push(chunk: Buffer): Buffer {
    this.#rest.push(chunk);
    this.#restLength += chunk.length;
    const joined = this.#rest.length > 1;
    // A long event comes in many chunks, which are joined once: when its end is there.
    if (joined && !mayEndEvent(chunk) && this.#restLength < longestEvent) return nothing;
    const bytes = joined ? Buffer.concat(this.#rest, this.#restLength) : chunk;
    const rest = bytes.subarray(this.#readEvents(bytes));
    const giveUp = rest.length >= longestEvent;
    if (giveUp) this.#output.add(rest, 0, rest.length);
    this.#rest = giveUp || rest.length === 0 ? [] : [rest];
    this.#restLength = giveUp ? 0 : rest.length;
    return this.#output.take();
  }

  /** An answer has to say that it is complete: one that just stops is a fault. */
  end(): Buffer {
    // The last event may lack its blank line, without which clients drop it.
    if (this.#restLength > 0) this.#lastEvent(Buffer.concat([...this.#rest, blankLine]));
    this.#rest = [];
    this.#restLength = 0;
    this.#answer.stopped();
    return this.#output.take();
  }

  /** A whole answer: the very same buffer when nothing is to be done, empty while its end is held. */
  whole(body: Buffer): Buffer {
    const response = parsed(body.toString());
    if (!isRecord(response) || !Array.isArray(response.output)) return body;
    const told = this.#answer.whole(response);
    return told === undefined ? nothing : told === response ? body : printedJson(told);
  }

  /** A whole answer for a client that asked for a stream; undefined when it is none. */
  streamed(body: Buffer): Buffer | undefined {
    const response = parsed(body.toString());
    if (!isRecord(response) || !Array.isArray(response.output)) return undefined;
    const begun = { ...response, status: "in_progress", output: [], usage: null };
    const events = [
      { type: "response.created", response: begun },
      { type: response.status === "failed" ? "response.failed" : "response.completed", response },
    ];
    return this.push(Buffer.concat(events.map(printedEvent)));
  }

  settle(id: string, status: "completed" | "failed"): Buffer {
    return this.#said(this.#answer.settle(id, status));
  }

  nextRound(): Buffer {
    const told = this.#said(this.#answer.nextRound());
    this.#shift = this.#next ?? 0;
    this.#forgetPieces();
    return told;
  }

  /** The answer ends here: what was held of it, for one that is not streamed as a whole. */
  finish(whole: boolean): Buffer {
    const events = this.#answer.finish();
    return whole ? printedJson(events.at(-1)?.response) : this.#said(events);
  }

  /** Half an event is none: what follows it must not be taken for its end. */
  #lastEvent(bytes: Buffer): void {
    if (!this.#reader.read(bytes, 0)) return;
    const { dataStart, dataEnd, dataLines } = this.#reader;
    if (bytes[dataStart] !== openBrace || eventData(bytes, dataStart, dataEnd, dataLines) !== undefined)
      this.#readEvents(bytes);
  }

  /** Reads all complete events; the index behind the last one. */
  #readEvents(bytes: Buffer): number {
    let at = 0;
    this.#bytes = bytes;
    while (this.#answer.fault === undefined && this.#reader.read(bytes, at)) {
      this.#event(bytes, at, this.#reader.end);
      at = this.#reader.end;
    }
    this.#bytes = nothing;
    if (this.#answer.fault !== undefined) return bytes.length;
    if (this.#sawPiece || this.#answer.items.isOpen) this.#keep(bytes.subarray(0, at));
    return at;
  }

  #event(bytes: Buffer, from: number, to: number): void {
    const passes = this.#reader.dataLines === 0 || this.#passes(bytes);
    if (!passes) return;
    const { shift: indexShift } = this.#answer.items;
    if (this.#shift === 0 && indexShift === 0) this.#output.add(bytes, from, to);
    else addRenumbered(this.#output, bytes, from, to, this.#shift, indexShift);
  }

  /** False when something else was said instead. */
  #passes(bytes: Buffer): boolean {
    const { dataStart, dataEnd, dataLines } = this.#reader;
    const type = this.#type(bytes);
    if (type !== undefined && !isRead.has(type)) {
      this.#sawPiece = true;
      return true;
    }
    if (type !== undefined && isBeginning.has(type)) {
      const front = bytes.toString("utf8", dataStart, Math.min(dataEnd, dataStart + longestFront));
      const id = idInFront.exec(front)?.[1];
      if (id !== undefined && this.#answer.begins(id)) return true;
    }
    const event = eventData(bytes, dataStart, dataEnd, dataLines);
    if (!isRecord(event)) return true;
    const said = this.#answer.event(typeOf(event, type), event);
    if (!this.#answer.items.isOpen && event.type === "response.output_item.done") this.#forgetPieces();
    const number = typeof event.sequence_number === "number" ? event.sequence_number + this.#shift : undefined;
    if (number !== undefined) this.#next = number + (said?.length ?? 1);
    if (said === undefined) return true;
    this.#say(said, number);
    this.#shift += said.length - 1;
    return false;
  }

  /** The event's type as far as it stands in front, empty for a piece of a text; undefined where it has to be read. */
  #type(bytes: Buffer): string | undefined {
    const { dataStart, dataEnd, nameStart, nameEnd } = this.#reader;
    let start = nameStart;
    let end = nameEnd;
    if (isText(bytes, dataStart, Math.min(dataEnd, dataStart + typeFirst.length), typeFirst)) {
      start = dataStart + typeFirst.length;
      end = bytes.indexOf(quote, start);
    }
    if (end <= start) return undefined;
    const isPiece = isText(bytes, end - piece.length, end, piece);
    if (isPiece && !(this.#answer.items.keepsArguments && isText(bytes, start, end, argumentsPiece))) return "";
    return bytes.toString("latin1", start, end);
  }

  #say(events: readonly Json[], first: number | undefined): void {
    for (const [place, event] of events.entries()) {
      const numbered = first === undefined ? event : { ...event, sequence_number: first + place };
      const bytes = printedEvent(numbered);
      this.#output.add(bytes, 0, bytes.length);
    }
  }

  /** Where LM Studio says nothing any more. */
  #said(events: readonly Json[]): Buffer {
    this.#say(events, this.#next);
    if (this.#next !== undefined) this.#next += events.length;
    return this.#output.take();
  }

  #keep(bytes: Buffer): void {
    if (this.#keptLength > mostKept) return;
    // A view of a few bytes would keep all that was read with them.
    this.#kept.push(bytes.buffer.byteLength > 2 * bytes.length ? Buffer.from(bytes) : bytes);
    this.#keptLength += bytes.length;
  }

  #forgetPieces(): void {
    this.#kept = [];
    this.#keptLength = 0;
    this.#sawPiece = false;
  }

  #pieces(): Pieces {
    const pieces = new Pieces();
    if (this.#keptLength > mostKept) return pieces;
    const reader = new EventReader();
    const bytes = Buffer.concat([...this.#kept, this.#bytes]);
    for (let at = 0; reader.read(bytes, at); at = reader.end) {
      const event = eventData(bytes, reader.dataStart, reader.dataEnd, reader.dataLines);
      if (isRecord(event)) pieces.add(event);
    }
    return pieces;
  }
}

/** LM Studio's errors in a stream have a name only, and not always that (goose #11318). */
function typeOf(event: Json, name: string | undefined): string {
  if (typeof event.type === "string") return event.type;
  return name ?? ("error" in event ? "error" : "");
}

const printedJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const printedEvent = (event: Json): Buffer => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
