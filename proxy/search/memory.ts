/** What searches found, for the next turns: Codex sends the calls back, but not what the model was given for them. */

const mostBytes = 16_777_216;

export class SearchMemory {
  /** In the order of last use. */
  readonly #results = new Map<string, string>();
  readonly #most: number;
  #bytes = 0;

  constructor(most: number = mostBytes) {
    this.#most = most;
  }

  /** `id` is that of the `web_search_call` item, `output` what the model was given. */
  remember(id: string, output: string): void {
    this.#forget(id);
    this.#results.set(id, output);
    this.#bytes += sizeOf(id, output);
    for (const oldest of this.#results.keys()) {
      if (this.#bytes <= this.#most) return;
      this.#forget(oldest);
    }
  }

  recall(id: string): string | undefined {
    const output = this.#results.get(id);
    if (output === undefined) return undefined;
    this.#results.delete(id);
    this.#results.set(id, output);
    return output;
  }

  #forget(id: string): void {
    const output = this.#results.get(id);
    if (output === undefined) return;
    this.#results.delete(id);
    this.#bytes -= sizeOf(id, output);
  }
}

/** Strings are kept with at most two bytes a character. */
const sizeOf = (id: string, output: string): number => 2 * (id.length + output.length);
