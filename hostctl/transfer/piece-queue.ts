/**
 * Which piece is asked for next of whom. Pure; time is handed in, in milliseconds. Each source has a stripe of its own, every so many pieces: so hosts that
 * take from each other send about as much as they take, whoever of them is ahead. Sources beyond the stripes are spares: each stands in for one of the others.
 */

/** A piece that takes longer is asked of a second host too, when nothing else is left to ask for: one slow host must not hold up the end. */
const slowMs = 1000;

export class PieceQueue {
  readonly #there: Set<number>;
  readonly #count: number;
  /** By stripe, in their order: whoever takes from this host wants the first ones first. */
  readonly #wanted: number[][];
  /** By their number: since when each is on its way, and from how many hosts. The oldest comes first. */
  readonly #coming = new Map<number, { since: number; from: number }>();
  /** Stripes whose source gives nothing any more. */
  readonly #orphans = new Set<number>();

  constructor(count: number, there: ReadonlySet<number>, stripes: number) {
    this.#count = count;
    this.#there = new Set(there);
    this.#wanted = Array.from({ length: stripes }, () => []);
    for (let index = 0; index < count; index++) if (!there.has(index)) this.#wanted[index % stripes]?.push(index);
  }

  get done(): boolean {
    return this.#there.size === this.#count;
  }

  /** Undefined when there is nothing for this source now; what is on its way from others may yet fail. */
  next(source: number, now: number): number | undefined {
    const index = this.#choose(source, now);
    if (index === undefined) return undefined;
    const { since, from } = this.#coming.get(index) ?? { since: now, from: 0 };
    this.#coming.set(index, { since, from: from + 1 });
    return index;
  }

  #choose(source: number, now: number): number | undefined {
    const stripe = source % this.#wanted.length;
    const own = this.#wanted[stripe] as number[];
    const isSpare = source >= this.#wanted.length && !this.#orphans.has(stripe);
    if (!isSpare) return own.shift() ?? this.#longest()?.shift() ?? this.#late(now);
    // When it is the last one, whom it stands in for is far behind all the others.
    const isLast = this.#wanted.every((one) => one === own || one.length === 0);
    return (isLast ? own.shift() : undefined) ?? this.#late(now);
  }

  /** A source that has given all of its own helps with the stripe that is the furthest behind. */
  #longest(): number[] | undefined {
    return this.#wanted.reduce((longest, one) => (one.length > longest.length ? one : longest));
  }

  #late(now: number): number | undefined {
    if (this.#wanted.some((stripe) => stripe.length > 0)) return undefined;
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
      this.#wanted[index % this.#wanted.length]?.unshift(index);
    }
  }

  /** It is asked no more. */
  leaveOut(source: number): void {
    if (source < this.#wanted.length) this.#orphans.add(source);
  }
}
