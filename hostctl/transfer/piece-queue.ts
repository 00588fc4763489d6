/** Which piece is asked for next, whoever is asked. Pure; time is handed in, in milliseconds. */

/** A piece that takes longer is asked of a second host too, when nothing else is left to ask for: one slow host must not hold up the end. */
const slowMs = 1000;

export class PieceQueue {
  readonly #there = new Set<number>();
  readonly #count: number;
  /** In their order: whoever takes from this host wants the first ones first. */
  readonly #wanted: number[];
  /** By their number: since when each is on its way, and from how many hosts. The oldest comes first. */
  readonly #coming = new Map<number, { since: number; from: number }>();

  constructor(count: number, there: ReadonlySet<number>) {
    this.#count = count;
    for (const index of there) this.#there.add(index);
    this.#wanted = Array.from({ length: count }, (_, index) => index).filter((index) => !there.has(index));
  }

  get done(): boolean {
    return this.#there.size === this.#count;
  }

  /** Undefined when all that is missing is on its way, and may yet fail. */
  next(now: number): number | undefined {
    const index = this.#wanted.shift() ?? this.#late(now);
    if (index === undefined) return undefined;
    const { since, from } = this.#coming.get(index) ?? { since: now, from: 0 };
    this.#coming.set(index, { since, from: from + 1 });
    return index;
  }

  #late(now: number): number | undefined {
    for (const [index, { since, from }] of this.#coming) {
      if (now - since < slowMs) return undefined;
      if (from === 1) return index;
    }
    return undefined;
  }

  /** False when another host was faster. */
  arrived(index: number): boolean {
    this.#coming.delete(index);
    if (this.#there.has(index)) return false;
    this.#there.add(index);
    return true;
  }

  failed(index: number): void {
    const coming = this.#coming.get(index);
    if (coming === undefined) return;
    if (coming.from > 1) this.#coming.set(index, { ...coming, from: coming.from - 1 });
    else {
      this.#coming.delete(index);
      this.#wanted.unshift(index);
    }
  }
}
