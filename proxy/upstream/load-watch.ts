/** Asks LM Studio what it has loaded for as long as somebody waits for a model that it has not loaded: once a second, and not at all otherwise. */
import type { Catalog } from "./catalog.ts";

const intervalMs = 1_000;

export class LoadWatch {
  readonly #catalog: Pick<Catalog, "loaded" | "age">;
  readonly #isAwaited: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(catalog: Pick<Catalog, "loaded" | "age">, isAwaited: () => boolean) {
    this.#catalog = catalog;
    this.#isAwaited = isAwaited;
  }

  /** Somebody may have begun to wait. */
  look(): void {
    if (this.#closed || this.#timer !== undefined || !this.#isAwaited()) return;
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, intervalMs - this.#catalog.age)).unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    // The answer is for whoever listens to the catalog; a failure is told by it too.
    await this.#catalog.loaded().catch(() => {});
    this.#timer = undefined;
    this.look();
  }
}
