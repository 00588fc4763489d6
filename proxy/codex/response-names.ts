/**
 * Answers that the client knows by another id than LM Studio: a heartbeat had to name one before LM Studio did, or it took several requests upstream.
 * A client that goes on from such an answer (`previous_response_id`; Codex never does) names it by the id that it was told.
 */

/** Two ids of some forty characters each. */
const most = 10_000;

export class ResponseNames {
  readonly #own = new Map<string, string>();

  remember(told: string, own: string): void {
    this.#own.set(told, own);
    for (const oldest of this.#own.keys()) {
      if (this.#own.size <= most) return;
      this.#own.delete(oldest);
    }
  }

  /** LM Studio's id; undefined where it is the same. */
  ownOf(told: string | undefined): string | undefined {
    return told === undefined ? undefined : this.#own.get(told);
  }
}
