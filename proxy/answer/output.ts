/** Bytes on their way out, as views of what came in; neighbours stay together, so that an untouched stretch is one view. */
const nothing = Buffer.alloc(0);

export class Output {
  #done: Buffer[] = [];
  #bytes: Buffer = nothing;
  #from = 0;
  #to = 0;

  add(bytes: Buffer, from: number, to: number): void {
    if (from >= to) return;
    if (bytes === this.#bytes && from === this.#to) {
      this.#to = to;
      return;
    }
    this.#finish();
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
  }

  /** All of `bytes`, the first of which lies at `origin`, but what lies within the cuts: ascending starts and ends in turn. */
  addWithout(bytes: Buffer, origin: number, cuts: readonly number[]): void {
    let at = 0;
    for (let i = 0; i + 1 < cuts.length; i += 2) {
      this.add(bytes, at, (cuts[i] as number) - origin);
      at = (cuts[i + 1] as number) - origin;
    }
    this.add(bytes, at, bytes.length);
  }

  /** What was added since the last time; empty when nothing was. */
  take(): Buffer {
    this.#finish();
    const done = this.#done;
    this.#done = [];
    return done.length === 1 ? (done[0] as Buffer) : Buffer.concat(done);
  }

  #finish(): void {
    if (this.#from < this.#to) {
      const whole = this.#from === 0 && this.#to === this.#bytes.length;
      this.#done.push(whole ? this.#bytes : this.#bytes.subarray(this.#from, this.#to));
    }
    this.#bytes = nothing;
    this.#from = this.#to = 0;
  }
}
