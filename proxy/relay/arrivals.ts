/**
 * Pieces of an answer that go on together. What one read from LM Studio brought does so still in that very turn of the loop. In a flood, more than five
 * hundred tokens a second in one stream, so does what two milliseconds bring: most of a flood's cost was that each of its pieces was sent by itself.
 */

const floodMs = 2;
/** So much is passed on at once, however fast it comes. */
const mostArrived = 65_536;

export class Arrivals {
  readonly #pass: (chunk: Buffer) => void;
  #pieces: Buffer[] | undefined;
  #bytes = 0;
  #passedAt = Number.NEGATIVE_INFINITY;
  #flood: NodeJS.Timeout | undefined;

  constructor(pass: (chunk: Buffer) => void) {
    this.#pass = pass;
  }

  add(chunk: Buffer, stream: boolean): void {
    this.#bytes += chunk.length;
    if (this.#pieces !== undefined) {
      this.#pieces.push(chunk);
      if (this.#flood !== undefined && this.#bytes > mostArrived) this.flush();
      return;
    }
    this.#pieces = [chunk];
    if (stream && performance.now() - this.#passedAt < floodMs) this.#flood = setTimeout(this.flush, floodMs);
    else queueMicrotask(this.flush);
  }

  readonly flush = (): void => {
    const pieces = this.#pieces;
    if (pieces === undefined) return;
    this.forget();
    this.#passedAt = performance.now();
    this.#pass(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
  };

  forget(): void {
    this.#pieces = undefined;
    this.#bytes = 0;
    clearTimeout(this.#flood);
    this.#flood = undefined;
  }
}
