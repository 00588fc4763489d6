/** What was worked out from a text, kept by that text: a client sends its whole conversation each turn, and nearly all of it was there before. */

interface Entry<Result> {
  readonly result: Result;
  readonly bytes: number;
}

export class Memo<Result> {
  /** In the order of last use. Keys are the texts themselves: a hash would cost more than their comparison. */
  readonly #entries = new Map<string, Entry<Result>>();
  readonly #most: number;
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(text: string): Result | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    return entry.result;
  }

  /** `size`: characters that the result holds. One that would push out a large part of the others is not kept. */
  put(text: string, result: Result, size: number): void {
    this.#forget(text);
    const bytes = 2 * (text.length + size);
    if (bytes > this.#most / 8) return;
    this.#entries.set(text, { result, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#most) return;
      this.#forget(oldest);
    }
  }

  #forget(text: string): void {
    const entry = this.#entries.get(text);
    if (entry === undefined) return;
    this.#entries.delete(text);
    this.#bytes -= entry.bytes;
  }
}
