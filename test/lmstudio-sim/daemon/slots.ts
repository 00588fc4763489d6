/** As many generations at once as an instance has slots; the rest wait inside LM Studio, first come first served. */
export class Slots {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Running and waiting together, as `ps` counts them. */
  get queued(): number {
    return this.#held + this.#waiting.length;
  }

  /** Resolves to the release, or to null when the signal aborts first. */
  async acquire(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    if (this.#held >= this.#limit) {
      const granted = await new Promise<boolean>((resolve) => {
        const grant = (): void => {
          signal.removeEventListener("abort", leave);
          resolve(true);
        };
        const leave = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(grant), 1);
          resolve(false);
        };
        this.#waiting.push(grant);
        signal.addEventListener("abort", leave, { once: true });
      });
      if (!granted) return null;
    } else {
      this.#held += 1;
    }
    let released = false;
    return () => {
      if (released) return;
      released = true;
      // The slot is handed over, not freed and taken again: nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#held -= 1;
      else next();
    };
  }
}
