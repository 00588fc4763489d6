/** Those who wait, in a fair order between keys: in every round each key that waits has one turn, first come first served inside a key. */

export interface Waiter {
  readonly key: string;
  /** Conversation, whose last request left its prefix in LM Studio's cache. */
  readonly thread: string | undefined;
}

/** One key's waiters; never empty. */
type Lane<T> = Set<T>;

export class Rounds<T extends Waiter> {
  readonly #lanes = new Map<string, Lane<T>>();
  /** Lanes that have still a turn in this round. Between them nobody has a better right. */
  #now = new Set<Lane<T>>();
  /** Lanes that had theirs, and newcomers: a key that comes and goes cannot have two turns while another one waits for its first. */
  #later = new Set<Lane<T>>();

  get empty(): boolean {
    return this.#lanes.size === 0;
  }

  add(waiter: T): void {
    const lane = this.#lanes.get(waiter.key);
    if (lane !== undefined) {
      lane.add(waiter);
      return;
    }
    const fresh = new Set([waiter]);
    this.#lanes.set(waiter.key, fresh);
    this.#later.add(fresh);
  }

  delete(waiter: T): void {
    const lane = this.#lanes.get(waiter.key);
    if (lane?.delete(waiter) !== true || lane.size > 0) return;
    this.#lanes.delete(waiter.key);
    this.#now.delete(lane);
    this.#later.delete(lane);
  }

  /** Takes out the next one: among those of equal right the one of `thread`, else the one that has waited longest for its turn. */
  take(thread: string | undefined): T | undefined {
    if (this.#now.size === 0) [this.#now, this.#later] = [this.#later, this.#now];
    const lane = this.#laneOf(thread) ?? first(this.#now);
    const waiter = lane && first(lane);
    if (lane === undefined || waiter === undefined) return undefined;
    this.delete(waiter);
    if (this.#now.delete(lane)) this.#later.add(lane);
    return waiter;
  }

  #laneOf(thread: string | undefined): Lane<T> | undefined {
    if (thread === undefined) return undefined;
    for (const lane of this.#now) if (first(lane)?.thread === thread) return lane;
    return undefined;
  }
}

function first<V>(values: ReadonlySet<V>): V | undefined {
  for (const value of values) return value;
  return undefined;
}
