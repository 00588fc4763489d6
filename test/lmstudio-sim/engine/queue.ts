/** From an engine's callbacks to the reader's loop. */
import type { Piece } from "./engine.ts";

export class PieceQueue implements AsyncIterable<Piece> {
  readonly #pieces: Piece[] = [];
  #ended = false;
  #error: unknown;
  #wake: () => void = () => {};

  push(piece: Piece): void {
    this.#pieces.push(piece);
    this.#wake();
  }

  /** With an error the reader's loop throws it, after what came before. */
  end(error?: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece> {
    for (;;) {
      const next = this.#pieces.shift();
      if (next !== undefined) yield next;
      else if (!this.#ended) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else {
        if (this.#error !== undefined) throw this.#error;
        return;
      }
    }
  }
}
