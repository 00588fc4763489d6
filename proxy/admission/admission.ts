/** Slots of every model: who waits gets a promise, time is one timer, and refusals are said in words. What happens is decided in `queue.ts`. */
import type { Fault } from "../errors/fault.ts";
import { ClientGone } from "../relay/body.ts";
import { type Effect, type Entrant, Queue } from "./queue.ts";
import { endingFault, fullFault, timeoutFault } from "./refusal.ts";

export interface AdmissionRequest {
  readonly model: string;
  readonly key: string;
  /** May wait behind everybody else (`title-request.ts`). */
  readonly low: boolean;
  readonly thread: string | undefined;
}

export interface Slot {
  readonly waitedMs: number;
  /** Call it when LM Studio has nothing more to do for the request. Calling it again does nothing. */
  release(): void;
}

export interface Waiting {
  /** Rejects with a Fault 503, or with ClientGone after `leave`. */
  readonly slot: Promise<Slot>;
  /** The client went away. A slot that was given meanwhile is released. */
  leave(): void;
}

export interface ModelQueue {
  readonly model: string;
  /** Null when there is no limit. */
  readonly slots: number | null;
  readonly running: number;
  readonly queued: number;
  /** Running in another process. */
  readonly claimed: number;
  /** Milliseconds since the epoch. */
  readonly heldUntil: number | null;
  /** LM Studio has not loaded it: whoever asks for it waits. */
  readonly missing: boolean;
}

export interface AdmissionLimits {
  readonly queue: number;
  readonly queueSeconds: number;
}

export interface AdmissionOptions {
  readonly limits: () => AdmissionLimits;
  /** Undefined when there is no limit. */
  readonly slotsOf: (model: string) => number | undefined;
  /** Whether LM Studio is known not to have loaded a model that it ought to have. */
  readonly isMissing?: (model: string) => boolean;
  /** Somebody waits for a missing model; `slotsChanged` is to be called once that is different. */
  readonly onMissed?: () => void;
  /** Milliseconds since the epoch; a clock that is set back must not move it. */
  readonly now?: () => number;
}

/** Models that are remembered without having anything to do. Clients name what they like, so there is no end to names. */
const mostAtRest = 64;
/** A longer delay would fire at once. */
const longestTimerMs = 2_147_483_647;

export class Admission {
  readonly #limits: () => AdmissionLimits;
  readonly #slotsOf: (model: string) => number | undefined;
  readonly #isMissing: (model: string) => boolean;
  readonly #onMissed: (() => void) | undefined;
  readonly #now: () => number;
  readonly #lines = new Map<string, Line>();
  readonly #claims = new Map<string, Readonly<Record<string, number>>>();
  readonly #listeners = new Set<() => void>();
  #telling = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#limits = options.limits;
    this.#slotsOf = options.slotsOf;
    this.#isMissing = options.isMissing ?? (() => false);
    this.#onMissed = options.onMissed;
    this.#now = options.now ?? steadyClock();
  }

  /** A slot at once when one is free, else a place in the queue. Throws a Fault 503 when the queue is full. */
  enter(request: AdmissionRequest): Slot | Waiting {
    const line = this.#line(request.model);
    const ticket = new Ticket(line, request);
    const verdict = line.queue.enter(ticket, this.#limits().queue);
    if (verdict === "full") throw fullFault(line.model, line.queue, ticket.since);
    this.#changed();
    if (verdict === "start") return ticket;
    const waiting = ticket.wait();
    this.#arm();
    if (line.queue.missing) this.#onMissed?.();
    return waiting;
  }

  /** Nothing of this model starts for so many seconds. A second hold replaces the end of the first. */
  hold(model: string, seconds: number): void {
    this.#line(model).queue.hold(this.#now() + seconds * 1_000);
    this.#changed();
    this.#arm();
  }

  /** False when it was not held. */
  resume(model: string): boolean {
    const line = this.#lines.get(model);
    if (line === undefined || line.queue.heldUntil === null) return false;
    this.#carryOut(line, line.queue.resume());
    return true;
  }

  /** When each hold ends by itself, in milliseconds since the epoch. */
  get held(): ReadonlyMap<string, number> {
    const held = new Map<string, number>();
    for (const { model, queue } of this.#lines.values()) if (queue.heldUntil !== null) held.set(model, queue.heldUntil);
    return held;
  }

  /** Requests of another process that count against the slots, by model. What `source` said before is replaced; `{}` ends it. */
  claims(source: string, running: Readonly<Record<string, number>>): void {
    this.#claims.set(source, running);
    if (Object.keys(running).length === 0) this.#claims.delete(source);
    const sums = new Map<string, number>();
    for (const claim of this.#claims.values()) {
      for (const [model, count] of Object.entries(claim))
        if (count > 0) sums.set(model, (sums.get(model) ?? 0) + count);
    }
    for (const model of sums.keys()) this.#line(model);
    for (const line of this.#lines.values()) this.#carryOut(line, line.queue.claim(sums.get(line.model) ?? 0));
  }

  /** Slots or limits were declared anew, or LM Studio has told what it has loaded. */
  slotsChanged(): void {
    for (const line of this.#lines.values()) {
      const { model, queue } = line;
      this.#carryOut(line, [...queue.setMissing(this.#isMissing(model)), ...queue.resize(this.#slots(model))]);
    }
    if (this.isMissed) this.#onMissed?.();
  }

  /** Somebody waits for a missing model. */
  get isMissed(): boolean {
    for (const { queue } of this.#lines.values()) if (queue.missing && queue.queued > 0) return true;
    return false;
  }

  /** Every model that has something to do, those with a limit that were asked for lately, and the named ones whatever they do. */
  snapshot(named: readonly string[] = []): readonly ModelQueue[] {
    const all: ModelQueue[] = [];
    for (const { model, queue } of this.#lines.values()) {
      const { running, queued, claimed, heldUntil, missing } = queue;
      const slots = Number.isFinite(queue.slots) ? queue.slots : null;
      if (slots !== null || !queue.atRest) all.push({ model, slots, running, queued, claimed, heldUntil, missing });
    }
    const told = new Set(all.map(({ model }) => model));
    const idle = { running: 0, queued: 0, claimed: 0, heldUntil: null, missing: false };
    for (const model of named) if (!told.has(model)) all.push({ model, slots: this.#slotsOf(model) ?? null, ...idle });
    return all;
  }

  /** `listener` is called after changes, once for all of the same tick. Returns how to end that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The process ends: whoever still waits is refused, and nobody is told anything any more. */
  close(): void {
    this.#listeners.clear();
    for (const { model, queue } of this.#lines.values()) {
      for (const ticket of queue.waiting) {
        queue.leave(ticket);
        ticket.refuse(endingFault(model));
      }
      queue.resume();
    }
    this.#arm();
  }

  #line(model: string): Line {
    const known = this.#lines.get(model);
    if (known !== undefined) return known;
    if (this.#lines.size >= mostAtRest) {
      for (const { model: name, queue } of this.#lines.values()) if (queue.atRest) this.#lines.delete(name);
    }
    const line: Line = {
      model,
      queue: new Queue<Ticket>(this.#slots(model)),
      now: this.#now,
      carryOut: (effects) => this.#carryOut(line, effects),
    };
    line.queue.setMissing(this.#isMissing(model));
    this.#lines.set(model, line);
    return line;
  }

  #slots(model: string): number {
    return this.#slotsOf(model) ?? Number.POSITIVE_INFINITY;
  }

  #carryOut(line: Line, effects: readonly Effect<Ticket>[]): void {
    for (const effect of effects) {
      if (effect.do === "start") effect.who.start();
      else effect.who.refuse(timeoutFault(line.model, line.queue, this.#limits().queueSeconds, this.#now()));
    }
    this.#changed();
    // Without a timer nobody waits and nothing is held, as after most requests.
    if (this.#timer !== undefined) this.#arm();
  }

  #changed(): void {
    if (this.#telling || this.#listeners.size === 0) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      for (const listener of this.#listeners) listener();
    });
  }

  /** One timer for whatever is due next. It may come too early, never too late. */
  #arm(): void {
    const patienceMs = this.#limits().queueSeconds * 1_000;
    let next = Number.POSITIVE_INFINITY;
    for (const { queue } of this.#lines.values()) next = Math.min(next, queue.deadline(patienceMs));
    if (this.#timer !== undefined && this.#timerAt <= next && next !== Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timerAt = next;
    const delay = Math.min(longestTimerMs, Math.max(0, Math.ceil(next - this.#now())));
    this.#timer = setTimeout(() => this.#tick(), delay).unref();
  }

  #tick(): void {
    this.#timer = undefined;
    const patienceMs = this.#limits().queueSeconds * 1_000;
    for (const line of this.#lines.values()) this.#carryOut(line, line.queue.tick(this.#now(), patienceMs));
    this.#arm();
  }
}

interface Line {
  readonly model: string;
  readonly queue: Queue<Ticket>;
  readonly now: () => number;
  readonly carryOut: (effects: readonly Effect<Ticket>[]) => void;
}

/** One request from its entry to its release. */
class Ticket implements Slot, Entrant {
  readonly key: string;
  readonly low: boolean;
  readonly thread: string | undefined;
  readonly since: number;
  #startedAt: number;
  #released = false;
  readonly #line: Line;
  #promise: PromiseWithResolvers<Slot> | undefined;

  constructor(line: Line, request: AdmissionRequest) {
    this.key = request.key;
    this.low = request.low;
    this.thread = request.thread;
    this.since = line.now();
    this.#startedAt = this.since;
    this.#line = line;
  }

  get waitedMs(): number {
    return this.#startedAt - this.since;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    const line = this.#line;
    line.carryOut(line.queue.finish(this.thread, line.now() - this.#startedAt));
  }

  wait(): Waiting {
    this.#promise = Promise.withResolvers<Slot>();
    const slot = this.#promise.promise;
    // Whoever left does not listen any more.
    slot.catch(() => {});
    return { slot, leave: () => this.#leave() };
  }

  start(): void {
    this.#startedAt = this.#line.now();
    this.#promise?.resolve(this);
  }

  refuse(fault: Fault): void {
    this.#released = true;
    this.#promise?.reject(fault);
  }

  #leave(): void {
    if (!this.#line.queue.leave(this)) {
      this.release();
      return;
    }
    this.#released = true;
    this.#promise?.reject(new ClientGone("the client went away while its request waited for a slot"));
    this.#line.carryOut([]);
  }
}

/** The system's clock as it was at the start, moved on by one that nobody sets. */
function steadyClock(): () => number {
  const origin = performance.timeOrigin;
  return () => origin + performance.now();
}
