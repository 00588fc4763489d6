/** How fast bytes come, and how fast they may. Time is handed in, in milliseconds. */

/** Holds a stream to `bytesPerSecond`: what comes faster makes a debt in time, which is to be waited for. */
export class Pace {
  readonly #bytesPerSecond: number;
  #paidUntil = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** @returns milliseconds to wait before more may be read */
  after(bytes: number, now: number): number {
    // An idle time is no credit: a burst after it would break the limit.
    this.#paidUntil = Math.max(this.#paidUntil, now) + (bytes / this.#bytesPerSecond) * 1000;
    return this.#paidUntil - now;
  }
}

const windowMs = 10_000;

/** Rate over the last ten seconds: what was fast an hour ago says nothing of the time that is left. */
export class Rate {
  readonly #samples: { at: number; received: number }[] = [];

  see(received: number, at: number): void {
    this.#samples.push({ at, received });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) >= windowMs) this.#samples.shift();
  }

  perSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return Math.max(0, last.received - first.received) / ((last.at - first.at) / 1000);
  }
}
