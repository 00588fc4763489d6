/** Things that happen at simulated moments, in the order of these. */
export class Events {
  readonly #heap: { readonly at: number; readonly what: () => void }[] = [];
  now = 0;

  at(at: number, what: () => void): void {
    const heap = this.#heap;
    heap.push({ at, what });
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#of(parent) <= at) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  run(): void {
    const heap = this.#heap;
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      const last = heap.pop();
      if (heap.length > 0 && last) {
        heap[0] = last;
        this.#sink();
      }
      this.now = Math.max(this.now, first.at);
      first.what();
    }
  }

  #sink(): void {
    for (let index = 0; ; ) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) if (this.#of(child) < this.#of(least)) least = child;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #of(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
