/** The last bytes of a stream that passed unread: what it takes to know where its texts stand, should that matter later. */
import { hasBlankLine, lastEventEnd } from "./events.ts";

/** A few events: enough to see whether a line has begun. */
const enough = 2048;
const tooMuch = 4 * enough;
const small = 1024;
/** Of an event without an end; its beginning is given up then. */
const most = 33_554_432;

export class Trail {
  #chunks: Buffer[] = [];
  #length = 0;

  get empty(): boolean {
    return this.#length === 0;
  }

  add(chunk: Buffer): void {
    // A small chunk is a view of a read buffer, which would stay with it.
    this.#chunks.push(chunk.length < small ? Buffer.from(chunk) : chunk);
    this.#length += chunk.length;
    // The event that is not complete begins in this chunk, or else everything since its beginning is kept. Trimmed seldom, not at every token.
    if (this.#length > tooMuch && this.#chunks.length > 1 && hasBlankLine(chunk)) this.#trim(enough);
    if (this.#length > most) this.#trim(0);
  }

  /** The last events and the one that is not complete, which is then forgotten; what lies before may begin within an event. */
  take(): Buffer {
    const [first] = this.#chunks;
    const all = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#length);
    const start = lastEventEnd(all.subarray(0, Math.max(0, lastEventEnd(all) - enough)));
    this.#chunks = [];
    this.#length = 0;
    return all.subarray(start);
  }

  #trim(keep: number): void {
    let count = 0;
    for (const chunk of this.#chunks) {
      if (this.#length - chunk.length < keep) break;
      this.#length -= chunk.length;
      count += 1;
    }
    this.#chunks.splice(0, count);
  }
}
