/** Finds the objects with token counts in an answer's bytes, wherever they are and however the network cut them. */

import type { TokenUsage } from "../seeing/record.ts";
import { tokenCounts } from "./usage.ts";

/** Counts take a few hundred bytes; a longer object of this name is something else. */
const longest = 4096;
const countsInside = Buffer.from('_tokens"');

const quote = 34;
const backslash = 92;
const openBrace = 123;
const closeBrace = 125;

export class UsageFinder {
  readonly #marker: Buffer;
  /** From a marker on whose object is not complete. */
  #open: Buffer | undefined;
  #first: string | undefined;
  #last: string | undefined;

  /** `key` is the member that holds the counts. */
  constructor(key: "usage" | "stats") {
    // Without its first quote: the search goes from one first letter to the next, and there are many quotes.
    this.#marker = Buffer.from(`${key}":`);
  }

  /** `before` are the last bytes that came before the chunk, as far as a marker could begin in them. */
  read(before: Buffer, chunk: Buffer): void {
    const open = this.#open ?? before;
    if (open.length > 0) {
      this.#open = undefined;
      const joined = Buffer.concat([open, chunk.subarray(0, longest)]);
      this.#search(joined, open.length);
      // Still open, the chunk is a part of it.
      if (this.#open !== undefined && chunk.length < longest) return;
      this.#open = undefined;
    }
    this.#search(chunk, chunk.length);
  }

  /** All that is known by now; the counts at the answer's beginning and end complete each other. */
  counts(): Partial<TokenUsage> | undefined {
    if (this.#first === undefined || this.#last === undefined) return undefined;
    const last = tokenCounts(this.#last);
    return this.#first === this.#last ? last : { ...tokenCounts(this.#first), ...last };
  }

  /** Takes the objects of all markers that begin before `limit`. */
  #search(bytes: Buffer, limit: number): void {
    let at = bytes.indexOf(this.#marker);
    while (at >= 0 && at < limit) {
      const start = skipBlanks(bytes, at + this.#marker.length);
      const end = objectEnd(bytes, start);
      if (end === undefined && bytes.length - at <= longest) {
        this.#open = Buffer.from(bytes.subarray(at));
        return;
      }
      if (end !== undefined && end > start) this.#take(bytes.subarray(start, end));
      at = bytes.indexOf(this.#marker, at + 1);
    }
  }

  #take(object: Buffer): void {
    if (!object.includes(countsInside)) return;
    this.#last = object.toString();
    this.#first ??= this.#last;
  }
}

function skipBlanks(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] as number) <= 32) at += 1;
  return at;
}

/** Index behind the object at `start`, `start` itself when there is none, undefined when it goes on behind the bytes. */
function objectEnd(bytes: Buffer, start: number): number | undefined {
  if (start < bytes.length && bytes[start] !== openBrace) return start;
  let depth = 0;
  let quoted = false;
  for (let at = start; at < Math.min(bytes.length, start + longest); at++) {
    const code = bytes[at];
    if (code === backslash) at += 1;
    else if (code === quote) quoted = !quoted;
    else if (code === openBrace && !quoted) depth += 1;
    else if (code === closeBrace && !quoted && --depth === 0) return at + 1;
  }
  return bytes.length < start + longest ? undefined : start;
}
