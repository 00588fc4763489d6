/** When an answer's tokens came: the first one, and the time between them. */
import type { AnswerMeter } from "../answer/meter.ts";

const leastGapMs = 2;

export class TokenClock {
  readonly #onGap: ((ms: number) => void) | undefined;
  /** Tokens that the last gap was told behind, and when. */
  #told = 0;
  #toldAt = 0;
  /** `performance.now()`. */
  firstTokenAt: number | undefined;

  constructor(onGap: ((ms: number) => void) | undefined) {
    this.#onGap = onGap;
  }

  /** The meter has just seen what came. */
  tell(meter: AnswerMeter): void {
    if (!meter.sawToken) return;
    const now = performance.now();
    this.firstTokenAt ??= now;
    if (this.#told > 0) {
      // Tokens come in flocks when the model is faster than the network: then the mean of a moment is told, not each gap inside it.
      const tokens = meter.events - this.#told;
      if (tokens === 0 || now - this.#toldAt < leastGapMs) return;
      this.#onGap?.((now - this.#toldAt) / tokens);
    }
    this.#told = meter.events;
    this.#toldAt = now;
  }

  /** The answer goes on with another request: what lies between is no gap. */
  startRound(): void {
    this.#told = 0;
  }
}
