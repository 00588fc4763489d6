/** The texts of one answer, each with its cutter, while the answer's events are read one by one. */
import type { AnswerForm } from "./form.ts";
import type { Literal } from "./outline.ts";
import { type EventText, eventReader, type TextSink } from "./texts.ts";
import { ThoughtCutter } from "./thoughts.ts";

/** A text, or a piece of one, in an event. Places are those in the whole stream. */
export interface Part {
  readonly cutter: ThoughtCutter;
  readonly from: number;
  readonly to: number;
}

/** It is open, or known, that some of the part goes. */
export const mayChange = ({ cutter, to }: Part): boolean => cutter.heldFrom < to || cutter.cutsSomething;

export const isDecided = ({ cutter, to }: Part): boolean => cutter.heldFrom >= to;

const lessThan = 60;
/** Begins the escape of every ASCII character. */
export const asciiEscape = Buffer.from("\\u00");

/** A text that is complete; undefined when nothing of it goes. */
export function wholePart(bytes: Buffer, text: Literal, origin: number): Part | undefined {
  if (!holds(bytes, text, lessThan) && !holds(bytes, text, asciiEscape)) return undefined;
  const cutter = new ThoughtCutter();
  cutter.read(bytes, text.start, text.end, origin);
  cutter.end();
  return cutter.cutsSomething ? { cutter, from: origin + text.start, to: origin + text.end } : undefined;
}

function holds(bytes: Buffer, text: Literal, what: number | Buffer): boolean {
  const at = bytes.indexOf(what, text.start);
  return at >= 0 && at < text.end;
}

export class Channels implements TextSink {
  readonly #readEvent: (event: EventText, sink: TextSink) => boolean;
  readonly #cutters = new Map<number, ThoughtCutter>();
  /** Of the event that is being read. */
  #bytes: Buffer = Buffer.alloc(0);
  #origin = 0;
  #parts: Part[] = [];
  #thoughtsInEvent = 0;
  #endedThoughts = 0;
  #wholeThoughts = 0;

  constructor(form: AnswerForm) {
    this.#readEvent = eventReader(form);
  }

  /** Thoughts that were cut. A text that comes in pieces and once more as a whole counts once. */
  get leaks(): number {
    let grown = this.#endedThoughts;
    for (const cutter of this.#cutters.values()) grown += cutter.thoughts;
    return Math.max(grown, this.#wholeThoughts);
  }

  /** What comes next cannot change what came, and does not depend on more than the last line. */
  get settled(): boolean {
    for (const cutter of this.#cutters.values()) if (!cutter.settled) return false;
    return true;
  }

  /** The event's texts, with `origin` the place of byte 0 of its bytes; `mayVanish` when it is good for nothing without them. */
  read(event: EventText, origin: number): { readonly parts: readonly Part[]; readonly mayVanish: boolean } {
    this.#bytes = event.bytes;
    this.#origin = origin;
    this.#parts = [];
    this.#thoughtsInEvent = 0;
    const mayVanish = this.#readEvent(event, this);
    this.#wholeThoughts = Math.max(this.#wholeThoughts, this.#thoughtsInEvent);
    return { parts: this.#parts, mayVanish };
  }

  forgetCuts(): void {
    for (const cutter of this.#cutters.values()) cutter.forgetCuts();
  }

  open(channel: number): void {
    this.close(channel, channel + 1);
    this.#cutters.set(channel, new ThoughtCutter());
  }

  grow(channel: number, text: Literal): void {
    let cutter = this.#cutters.get(channel);
    if (cutter === undefined) {
      cutter = new ThoughtCutter();
      this.#cutters.set(channel, cutter);
    }
    cutter.read(this.#bytes, text.start, text.end, this.#origin);
    this.#parts.push({ cutter, from: this.#origin + text.start, to: this.#origin + text.end });
  }

  close(first: number, behind: number): void {
    for (const [channel, cutter] of this.#cutters) {
      if (channel < first || channel >= behind) continue;
      cutter.end();
      this.#endedThoughts += cutter.thoughts;
      this.#cutters.delete(channel);
    }
  }

  whole(text: Literal): void {
    const part = wholePart(this.#bytes, text, this.#origin);
    if (part === undefined) return;
    this.#parts.push(part);
    this.#thoughtsInEvent += part.cutter.thoughts;
  }
}
