/** Who starts, waits or is refused at one model: decided without I/O, so that it can be proved. The edge carries out what it returns. */
import { Rounds, type Waiter } from "./rounds.ts";

export interface Entrant extends Waiter {
  /** May wait behind everybody else. */
  readonly low: boolean;
  /** Milliseconds, of the same clock as every `now`. */
  readonly since: number;
}

export type Effect<T> =
  | { readonly do: "start"; readonly who: T }
  | { readonly do: "refuse"; readonly who: T; readonly reason: "timeout" };

/** Normal requests that pass a waiting low one before it has its turn: late, yet never starved. */
export const lowPatience = 8;

/** Weight of the newest service time: about the last ten requests count. */
const newestWeight = 0.2;
/** Until one request has ended. */
const guessedServiceMs = 5_000;
const longestRetrySeconds = 60;

const nothing: readonly never[] = [];

/**
 * One model's queue. Owned state: every call is an event, and its effects have already been counted when it returns. Nobody waits while a
 * slot is free, except while the model is held or LM Studio has not loaded it.
 */
export class Queue<T extends Entrant> {
  /** Infinity when there is no limit. */
  #slots: number;
  #running = 0;
  #claimed = 0;
  #heldUntil: number | null = null;
  #missing = false;
  /** In the order of arrival, so that the first one is the first whose time is over. */
  readonly #waiting = new Set<T>();
  readonly #normal = new Rounds<T>();
  readonly #low = new Rounds<T>();
  /** Normal requests that started while a low one waited, since the last low one did. */
  #passed = 0;
  #serviceMs: number | undefined;

  constructor(slots: number) {
    this.#slots = slots;
  }

  get slots(): number {
    return this.#slots;
  }

  get running(): number {
    return this.#running;
  }

  get claimed(): number {
    return this.#claimed;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** In the order of arrival. */
  get waiting(): ReadonlySet<T> {
    return this.#waiting;
  }

  get heldUntil(): number | null {
    return this.#heldUntil;
  }

  /** LM Studio says that it has not loaded the model. */
  get missing(): boolean {
    return this.#missing;
  }

  /** Forgetting it would lose nothing but its service times. */
  get atRest(): boolean {
    return this.#running === 0 && this.#claimed === 0 && this.#waiting.size === 0 && this.#heldUntil === null;
  }

  /** `limit` is how many may wait. A model that is held or missing refuses nobody for that: its requests are to go on once it is loaded. */
  enter(who: T, limit: number): "start" | "wait" | "full" {
    if (this.#mayStart() && this.#waiting.size === 0) {
      this.#running++;
      return "start";
    }
    if (this.#heldUntil === null && !this.#missing && this.#waiting.size >= limit) return "full";
    this.#waiting.add(who);
    (who.low ? this.#low : this.#normal).add(who);
    return "wait";
  }

  /** A request that had started has ended after `serviceMs`. */
  finish(thread: string | undefined, serviceMs: number): readonly Effect<T>[] {
    this.#running--;
    const mean = this.#serviceMs ?? serviceMs;
    this.#serviceMs = mean + (serviceMs - mean) * newestWeight;
    return this.#startWaiting(thread);
  }

  /** False when it does not wait any more. */
  leave(who: T): boolean {
    if (!this.#waiting.delete(who)) return false;
    (who.low ? this.#low : this.#normal).delete(who);
    return true;
  }

  /** Nothing starts until `resume`, or until `tick` is told `until` or later. A second hold replaces the first. */
  hold(until: number): void {
    this.#heldUntil = until;
  }

  resume(): readonly Effect<T>[] {
    this.#heldUntil = null;
    return this.#startWaiting(undefined);
  }

  /** Nothing starts while the model is missing. */
  setMissing(missing: boolean): readonly Effect<T>[] {
    this.#missing = missing;
    return this.#startWaiting(undefined);
  }

  /** Requests that run elsewhere and count against the slots. */
  claim(count: number): readonly Effect<T>[] {
    this.#claimed = count;
    return this.#startWaiting(undefined);
  }

  resize(slots: number): readonly Effect<T>[] {
    this.#slots = slots;
    return this.#startWaiting(undefined);
  }

  /** Time has passed. Those who can start do so even when their time is over too. */
  tick(now: number, patienceMs: number): readonly Effect<T>[] {
    const holdEnds = this.#heldUntil !== null && this.#heldUntil <= now;
    const effects = holdEnds ? [...this.resume()] : [];
    for (const who of this.#waiting) {
      if (who.since + patienceMs > now) break;
      this.leave(who);
      effects.push({ do: "refuse", who, reason: "timeout" });
    }
    return effects;
  }

  /** When `tick` is next due; Infinity when nothing depends on time. */
  deadline(patienceMs: number): number {
    let next = this.#heldUntil ?? Number.POSITIVE_INFINITY;
    for (const who of this.#waiting) {
      next = Math.min(next, who.since + patienceMs);
      break;
    }
    return next;
  }

  /** Whole seconds, 1 to 60, in which `places` requests are likely to end, by the latest service times. */
  retrySeconds(places: number, now: number): number {
    const serviceMs = ((this.#serviceMs ?? guessedServiceMs) * places) / Math.max(1, this.#slots);
    const heldMs = Math.max(0, (this.#heldUntil ?? now) - now);
    return Math.min(longestRetrySeconds, Math.max(1, Math.ceil((serviceMs + heldMs) / 1_000)));
  }

  #mayStart(): boolean {
    return this.#heldUntil === null && !this.#missing && this.#running + this.#claimed < this.#slots;
  }

  /** `thread` is that of the request that has just left its slot: its next turn finds its prefix in the cache there. */
  #startWaiting(thread: string | undefined): readonly Effect<T>[] {
    if (this.#waiting.size === 0 || !this.#mayStart()) return nothing;
    const effects: Effect<T>[] = [];
    for (let warm = thread; this.#mayStart(); warm = undefined) {
      const who = this.#next(warm);
      if (who === undefined) break;
      this.#waiting.delete(who);
      this.#running++;
      effects.push({ do: "start", who });
    }
    return effects;
  }

  #next(thread: string | undefined): T | undefined {
    const lowIsDue = this.#normal.empty || this.#passed >= lowPatience;
    if (lowIsDue && !this.#low.empty) {
      this.#passed = 0;
      return this.#low.take(thread);
    }
    if (!this.#low.empty) this.#passed++;
    return this.#normal.take(thread);
  }
}
