/** Leaked thoughts are cut out of answers: streams as they pass, whole answers at once. What holds no thought keeps every byte. */
import { asciiEscape, Channels, isDecided, mayChange, type Part, wholePart } from "./channels.ts";
import { EventReader, mayEndEvent, withDataOnly } from "./events.ts";
import type { AnswerFilter } from "./filter.ts";
import type { AnswerForm } from "./form.ts";
import { isText, outlineOf } from "./outline.ts";
import { Output } from "./output.ts";
import { wholeReader } from "./texts.ts";
import { Trail } from "./trail.ts";

export type { AnswerForm } from "./form.ts";

const nothing = Buffer.alloc(0);
const blankLine = Buffer.from("\n\n");
const everything = Number.POSITIVE_INFINITY;

const zero = 48;
const lessThan = 60;
const backslash = 92;
const backtick = 96;
const letterU = 117;
const tilde = 126;

/** Bytes without an event's end beyond which this is no event stream; they pass as they come. */
const longestEvent = 33_554_432;

/** An event that is not passed on yet, as far as it was not before. */
interface HeldEvent {
  readonly bytes: Buffer;
  /** Its place in the stream. */
  readonly from: number;
  readonly parts: readonly Part[];
  /** Without its text there is nothing to it. */
  readonly mayVanish: boolean;
}

const noTexts = { parts: [], mayVanish: false };

/**
 * For event streams. An event is held while it is open whether a part of it goes; all events behind it wait, so that their order stays.
 * While all is decided, chunks in which no tag can begin pass without being read, even in the middle of an event.
 */
export class LeakFilter implements AnswerFilter {
  readonly #channels: Channels;
  readonly #reads: boolean;
  readonly #reader = new EventReader();
  /** What passed without being read, as far as it may matter. */
  readonly #trail = new Trail();
  readonly #output = new Output();
  /** An event's beginning, the rest of which has not come; its first bytes may have been passed on. */
  #pieces: Buffer[] = [];
  #piecesLength = 0;
  #passed = 0;
  #held: HeldEvent[] = [];
  /** Nothing is held, and no text is in a state that could change unseen. */
  #settled = true;
  /** Bytes that came so far. */
  #seen = 0;

  constructor(form: AnswerForm) {
    this.#channels = new Channels(form);
    this.#reads = form !== "completions";
  }

  /** Thoughts that were cut. */
  get leaks(): number {
    return this.#channels.leaks;
  }

  push(chunk: Buffer): Buffer {
    if (!this.#reads) return chunk;
    this.#seen += chunk.length;
    if (this.#settled && isPlain(chunk)) {
      this.#trail.add(chunk);
      return chunk;
    }
    this.#resume();
    this.#pieces.push(chunk);
    this.#piecesLength += chunk.length;
    const joined = this.#pieces.length > 1;
    // A long event comes in many chunks, which are joined once: when its end is there.
    if (joined && !mayEndEvent(chunk) && this.#piecesLength < longestEvent) {
      this.#settled = false;
      return nothing;
    }
    const bytes = joined ? Buffer.concat(this.#pieces, this.#piecesLength) : chunk;
    this.#keep(bytes, this.#readEvents(bytes));
    return this.#output.take();
  }

  end(): Buffer {
    this.#resume();
    const rest = Buffer.concat([...this.#pieces, blankLine]);
    const length = this.#piecesLength;
    // Read as if it were complete: whether it counts is the client's affair, but no thought may be in it.
    if (this.#reader.read(rest, 0)) this.#event(rest, 0, length, this.#seen - length);
    this.#channels.close(0, everything);
    this.#flush();
    return this.#output.take();
  }

  /** Back from passing chunks unread: where the texts stand now is read from the last of what passed. */
  #resume(): void {
    if (this.#trail.empty) return;
    const bytes = this.#trail.take();
    let at = 0;
    while (this.#reader.read(bytes, at)) {
      this.#texts(bytes, at, this.#reader.end, 0);
      at = this.#reader.end;
    }
    const open = bytes.subarray(at);
    this.#passed = open.length;
    this.#pieces = open.length > 0 ? [open] : [];
    this.#piecesLength = open.length;
  }

  /** Reads all complete events; the index behind the last one. `bytes` are the last ones of the stream so far. */
  #readEvents(bytes: Buffer): number {
    const origin = this.#seen - bytes.length;
    let at = 0;
    while (this.#reader.read(bytes, at)) {
      const { end } = this.#reader;
      this.#event(bytes, at, end, origin);
      at = end;
    }
    return at;
  }

  /** What follows the last complete event is kept for the next chunk; it passes already now if nothing can come of it. */
  #keep(bytes: Buffer, at: number): void {
    const rest = bytes.subarray(at);
    const passed = at === 0 ? this.#passed : 0;
    const giveUp = rest.length >= longestEvent;
    if (giveUp) {
      this.#channels.close(0, everything);
      this.#flush();
    }
    this.#settled = this.#held.length === 0 && this.#channels.settled && (giveUp || isPlain(rest));
    this.#pieces = [];
    this.#piecesLength = 0;
    this.#passed = 0;
    if (rest.length === 0) return;
    if (this.#settled) {
      this.#output.add(bytes, at + passed, bytes.length);
      if (!giveUp) this.#trail.add(rest);
    } else {
      this.#pieces = [rest];
      this.#piecesLength = rest.length;
      this.#passed = passed;
    }
  }

  /** The texts of the event that the reader has just read. */
  #texts(bytes: Buffer, from: number, to: number, origin: number): ReturnType<Channels["read"]> {
    const { dataStart, dataEnd, dataLines, nameStart, nameEnd } = this.#reader;
    if (dataLines === 0) return noTexts;
    // Data over several lines is read from a copy without the line starts, in which everything lies where it lay.
    const shift = dataLines > 1 ? from : 0;
    const text = dataLines > 1 ? withDataOnly(bytes.subarray(from, to), dataStart - from, dataEnd - from) : bytes;
    const outline = outlineOf(text, dataStart - shift, dataEnd - shift);
    if (outline !== undefined) {
      const event = { bytes: text, outline, nameStart: nameStart - shift, nameEnd: nameEnd - shift };
      return this.#channels.read(event, origin + shift);
    }
    if (isText(bytes, dataStart, dataEnd, "[DONE]")) this.#channels.close(0, everything);
    return noTexts;
  }

  /** `origin` is the place of byte 0 of `bytes`. */
  #event(bytes: Buffer, from: number, to: number, origin: number): void {
    const { parts, mayVanish } = this.#texts(bytes, from, to, origin);
    const start = from === 0 ? this.#passed : from;
    if (this.#held.length > 0 || parts.some(mayChange)) {
      const held = { bytes: bytes.subarray(start, to), from: origin + start, parts };
      this.#held.push({ ...held, mayVanish: mayVanish && start === from });
      this.#flush();
    } else {
      this.#output.add(bytes, start, to);
    }
  }

  /** Passes on all events up to the first one that is not decided. */
  #flush(): void {
    let done = 0;
    for (const event of this.#held) {
      if (!event.parts.every(isDecided)) break;
      this.#pass(event);
      done += 1;
    }
    if (done === 0) return;
    this.#held.splice(0, done);
    if (this.#held.length === 0) this.#channels.forgetCuts();
  }

  #pass({ bytes, from, parts, mayVanish }: HeldEvent): void {
    const cuts: number[] = [];
    let left = 0;
    for (const part of parts) {
      left += part.to - part.from;
      part.cutter.cutsWithin(part.from, part.to, cuts);
    }
    for (let i = 0; i < cuts.length; i += 2) left -= (cuts[i + 1] as number) - (cuts[i] as number);
    if (left === 0 && mayVanish && cuts.length > 0) return;
    this.#output.addWithout(bytes, from, cuts);
  }
}

/** Nothing in these bytes can begin, end or hide a tag. A few native searches, because every chunk of every stream comes through here. */
function isPlain(bytes: Buffer): boolean {
  return (
    bytes.indexOf(lessThan) < 0 &&
    bytes.indexOf(backtick) < 0 &&
    bytes.indexOf(tilde) < 0 &&
    bytes.indexOf(asciiEscape) < 0 &&
    !endsWithinEscape(bytes)
  );
}

function endsWithinEscape(bytes: Buffer): boolean {
  const last = bytes[bytes.length - 1];
  const before = bytes[bytes.length - 2];
  return (
    last === backslash ||
    (last === letterU && before === backslash) ||
    (last === zero && before === letterU && bytes[bytes.length - 3] === backslash)
  );
}

/** A whole JSON answer without thoughts; the very same buffer when there are none, or when it is not JSON. */
export function withoutLeaks(form: AnswerForm, body: Buffer): { body: Buffer; leaks: number } {
  const untouched = { body, leaks: 0 };
  if (body.indexOf(lessThan) < 0 && body.indexOf(asciiEscape) < 0) return untouched;
  const outline = outlineOf(body, 0, body.length);
  if (outline === undefined) return untouched;
  const cuts: number[] = [];
  let leaks = 0;
  wholeReader(form)(body, outline, (text) => {
    const part = wholePart(body, text, 0);
    part?.cutter.cutsWithin(part.from, part.to, cuts);
    leaks += part?.cutter.thoughts ?? 0;
  });
  if (cuts.length === 0) return untouched;
  const output = new Output();
  output.addWithout(body, 0, cuts);
  return { body: output.take(), leaks };
}
