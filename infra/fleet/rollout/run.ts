/** The runner: asks what is next, does it, writes down what came of it, until there is nothing left. */
import { CliFault } from "../../cli/fault.ts";
import type { Policy } from "../inventory.ts";
import type { Reading } from "../metrics.ts";
import type { SeenHost } from "../plan.ts";
import { type Brought, type Effects, HostFault } from "./effects.ts";
import { bring, type Emit, wrongWith } from "./host.ts";
import {
  ended,
  type HostEntry,
  type Journal,
  momentOf,
  previewed,
  type RolloutEntry,
  type SpecText,
  withEnd,
  withHosts,
  withNewest,
} from "./journal.ts";
import { heartbeatSeconds } from "./lease.ts";
import { lackedModels, nextStep, type Step } from "./steps.ts";
import { errorShareOf, pacesOf, type Watched, wrongIn } from "./watch.ts";

/** An engine with the program and its plugins, at its largest. */
const stackBytes = 400 * 2 ** 20;

/**
 * How many stacks may be in flight: most of an `up` is waiting for its host, but a machine that is out of memory or out of breath would keep hosts
 * out of service for nothing.
 */
export const stacksOn = (processors: number, bytes: number): number =>
  Math.max(1, Math.min(8 * processors, Math.floor(bytes / 2 / stackBytes)));

const watchSeconds = 2;

type Change = (journal: Journal) => Journal;

const withAll = (journal: Journal, changes: Iterable<Change>): Journal =>
  [...changes].reduce((before, change) => change(before), journal);

export interface Runner {
  /** Of the lease that this run of the command has taken. */
  readonly id: string;
  readonly policy: Policy;
  /** The fleet as it was when this runner began. */
  readonly fleet: readonly SeenHost[];
  readonly stacksAtOnce: number;
  readonly emit: Emit;
  /** Aborted when a person wants it to end: what runs is finished, and the rollout can be resumed. */
  readonly stop: AbortSignal;
}

/** Somebody else has taken the rollout over: nothing more may be touched from here. */
export class LeaseLost extends CliFault {}

/** @throws LeaseLost */
export const runRollout = (effects: Effects, runner: Runner): Promise<RolloutEntry> =>
  new Rollout(effects, runner).run();

class Rollout {
  readonly #effects: Effects;
  readonly #runner: Runner;
  #journal: Journal | undefined;
  /** Goes with the next write, which is an `up` and costs a tenth of a host's change: whoever resumes without it does these steps, or looks, once more. */
  readonly #unwritten = new Set<Change>();
  #lost: LeaseLost | undefined;
  /** When it was last written that this runner lives. */
  #heard: Temporal.Instant;

  constructor(effects: Effects, runner: Runner) {
    this.#effects = effects;
    this.#runner = runner;
    this.#heard = effects.now();
  }

  async run(): Promise<RolloutEntry> {
    const over = new AbortController();
    const beating = this.#beat(over.signal);
    try {
      this.#journal = await this.#effects.journal.read();
      for (;;) {
        const { policy, fleet, stop } = this.#runner;
        const stopped = stop.aborted && this.#newest.state !== "previewing";
        const step = stopped ? ({ do: "pause" } as const) : nextStep(this.#journal, fleet, policy, this.#effects.now());
        if (await this.#do(step)) return this.#newest;
      }
    } finally {
      over.abort();
      await beating;
    }
  }

  get #newest(): RolloutEntry {
    return this.#journal?.rollouts[0] as RolloutEntry;
  }

  /** @returns whether that was the last one */
  async #do(step: Step): Promise<boolean> {
    const { emit } = this.#runner;
    const at = () => momentOf(this.#effects.now());
    switch (step.do) {
      case "preview":
        return await this.#preview(step.hosts);
      case "change":
        emit({ event: "wave", ...this.#wave(step), back: false });
        await this.#change(step);
        return false;
      case "bake":
        await this.#bake(step.hosts);
        return false;
      case "spread":
        await this.#spread(step.hosts);
        return false;
      case "return":
        emit({ event: "wave", wave: 0, canary: false, back: true, hosts: step.hosts, secondsLeft: null });
        await this.#return(step.hosts);
        return false;
      case "turn back":
        emit({ event: "stopping", why: step.why });
        await this.#write((journal) => ({ ...withNewest(journal, { state: "returning", why: step.why }), wish: null }));
        return false;
      case "pause":
        await this.#write((journal) => ({ ...journal, wish: null, lease: null }));
        return true;
      case "end":
        for (const held of step.held) emit({ event: "held", ...held });
        await this.#write((journal) => ({ ...ended(journal, step.state, step.why, at()), wish: null, lease: null }));
        return true;
    }
  }

  /** How long the rest takes is known from hosts that are through. */
  #wave({ wave, canary, hosts, toCome }: Extract<Step, { do: "change" }>) {
    const taken = Object.values(this.#newest.hosts).flatMap(({ phase, seconds }) =>
      phase === "proved" && seconds !== null ? [seconds] : [],
    );
    const mean = taken.reduce((sum, seconds) => sum + seconds, 0) / taken.length;
    return { wave, canary, hosts, secondsLeft: taken.length === 0 ? null : mean * toCome };
  }

  get #turnsBack(): boolean {
    const { fleet, policy } = this.#runner;
    return nextStep(this.#journal as Journal, fleet, policy, this.#effects.now()).do === "turn back";
  }

  async #preview(hosts: readonly string[]): Promise<boolean> {
    const faults: string[] = [];
    const lastGood = new Map<string, SpecText | null>();
    const { specs = {} } = this.#journal ?? {};
    // These wait for nobody.
    await inParallel(hosts, Math.ceil(this.#runner.stacksAtOnce / 4), async (host) => {
      try {
        const preview = await this.#effects.preview(host, this.#spec(host, "after"), specs);
        lastGood.set(host, preview.lastGood);
        this.#runner.emit({ event: "previewed", host, changes: preview.changes, why: null });
      } catch (error) {
        const why = wordsOf(error);
        this.#runner.emit({ event: "previewed", host, changes: null, why });
        faults.push(`${host}: ${why}`);
      }
    });
    if (this.#runner.stop.aborted) faults.push("it was stopped before anything was touched");
    if (faults.length === 0) this.#note((journal) => previewed(journal, lastGood));
    else {
      const at = momentOf(this.#effects.now());
      await this.#write((journal) => ({ ...ended(journal, "refused", faults.join("\n"), at), lease: null }));
    }
    return faults.length > 0;
  }

  async #change({ wave, canary, hosts }: Extract<Step, { do: "change" }>): Promise<void> {
    const figures = new Map(
      await inParallel(hosts, hosts.length, async (host) => {
        const { phase, paces, errors } = this.#newest.hosts[host] as HostEntry;
        // Of a change that was begun already the figures from before are known.
        if (phase === "changing") return [host, { paces, errors }] as const;
        const reading = await this.#effects.measure(host, this.#spec(host, "after"));
        if (reading === null) return [host, { paces: null, errors: null }] as const;
        const seen = this.#runner.fleet.find(({ name }) => name === host);
        const before = pacesOf(seen?.reading ?? null, reading, seen?.provedPaces ?? {});
        return [host, { paces: before, errors: errorShareOf(reading) }] as const;
      }),
    );
    const begin = (host: string) => [host, { phase: "changing", wave, canary, ...figures.get(host) }] as const;
    // Written before anything is done: whoever comes after a crash knows where to look.
    await this.#write((journal) => withHosts(journal, Object.fromEntries(hosts.map(begin))));
    await this.#each(hosts, async (host) => {
      const { paces } = this.#newest.hosts[host] as HostEntry;
      await bring(this.#effects, host, this.#spec(host, "after"), paces ?? {}, this.#runner.policy, this.#runner.emit);
      return "proved";
    });
  }

  /** What does not come about here is no failure: `up` fetches what it does not find. */
  async #spread(hosts: readonly string[]): Promise<void> {
    const { fleet, emit, policy } = this.#runner;
    const entries = this.#newest.hosts;
    emit({ event: "spread", hosts, over: false, words: "from hosts that have them" });
    const reached = fleet.filter(({ refusal }) => refusal === null);
    const models = reached.map(({ name }) => {
      const proved = entries[name]?.phase === "proved";
      return [name, proved ? new Set<string>() : lackedModels(fleet, name)] as const;
    });
    const specs = Object.keys(entries).map((name) => [name, this.#spec(name, "after")] as const);
    const lacking = { models: new Map(models), specs: new Map(specs), hostBytesPerSecond: policy.hostBytesPerSecond };
    const tell = (host: string, said: string) => emit({ event: "words", host, words: said });
    const words = await this.#effects.spread(lacking, tell).then(broughtWords, wordsOf);
    emit({ event: "spread", hosts, over: true, words });
    this.#note((journal) => withNewest(journal, { spread: true }));
  }

  async #return(hosts: readonly string[]): Promise<void> {
    await this.#write((journal) =>
      withHosts(journal, Object.fromEntries(hosts.map((host) => [host, { phase: "returning" }]))),
    );
    await this.#each(hosts, async (host) => {
      const { before } = this.#newest.hosts[host] as HostEntry;
      if (before === null) throw new HostFault("there is nothing to go back to: no `up` has ever ended well there");
      await bring(this.#effects, host, this.#spec(host, "before"), null, this.#runner.policy, this.#runner.emit);
      return "returned";
    });
  }

  /** As many at once as there is room for. What went wrong stays in `why` on the way back. */
  async #each(hosts: readonly string[], work: (host: string) => Promise<"proved" | "returned">): Promise<void> {
    await inParallel(hosts, this.#runner.stacksAtOnce, async (host) => {
      const started = this.#effects.now();
      const back = this.#newest.hosts[host]?.phase === "returning";
      // Who has not begun yet need not suffer what others have suffered.
      if (this.#runner.stop.aborted || (!back && this.#turnsBack)) return;
      if (this.#lost) throw this.#lost;
      const first = this.#newest.hosts[host]?.why ?? null;
      const end = await work(host).then(
        (phase) => ({ phase, why: first }),
        (error: unknown) => {
          const why = wordsOf(error);
          // The terminal's Ctrl-C reaches `pulumi` too: that it failed then says nothing about the host.
          if (this.#runner.stop.aborted) return null;
          return back
            ? ({ phase: "stuck", why: [first, why].filter(Boolean).join("; on the way back: ") } as const)
            : ({ phase: "failed", why } as const);
        },
      );
      if (end === null) return;
      const seconds = this.#effects.now().since(started).total("seconds");
      this.#runner.emit({ event: "host-ended", host, seconds, ...end });
      this.#note((journal) => withEnd(journal, host, { ...end, seconds }));
      // Another look would not tell what was found while it changed.
      if (end.phase === "failed" || end.phase === "stuck") await this.#write();
    });
  }

  /** The canary at work: what its proxy counts, and one more look at the end. */
  async #bake(hosts: readonly string[]): Promise<void> {
    const { policy, emit, stop } = this.#runner;
    const { now, wait } = this.#effects;
    const until = now().add({ seconds: policy.bakeSeconds });
    const measure = (host: string) => this.#effects.measure(host, this.#spec(host, "after"));
    const first = new Map<string, Reading | null>();
    const wrong = new Map<string, string>();
    for (const host of hosts) first.set(host, await measure(host));
    for (;;) {
      const left = until.since(now()).total("seconds");
      emit({ event: "bake", hosts, secondsLeft: Math.max(0, left), words: [...wrong.values()][0] ?? "nothing wrong" });
      if (left <= 0 || wrong.size > 0 || stop.aborted) break;
      await wait(Math.min(watchSeconds, left), stop);
      for (const host of hosts) {
        const { paces, errors } = this.#newest.hosts[host] as HostEntry;
        const reading = { paces: paces ?? {}, errors: errors ?? 0, first: first.get(host) ?? null };
        const found = await this.#found({ ...reading, last: await measure(host) }, () => measure(host));
        if (found !== null) wrong.set(host, found);
      }
    }
    if (stop.aborted) return;
    for (const host of hosts) {
      const found = wrong.get(host) ?? wrongWith(await this.#effects.look(host, this.#spec(host, "after")));
      if (found !== null) wrong.set(host, `while it was watched: ${found}`);
    }
    const failed = Object.fromEntries([...wrong].map(([host, why]) => [host, { phase: "failed", why } as const]));
    for (const [host, { phase, why }] of Object.entries(failed))
      emit({ event: "host-ended", host, phase, seconds: policy.bakeSeconds, why });
    if (wrong.size === 0) this.#note((journal) => withNewest(journal, { baked: true }));
    else await this.#write((journal) => withHosts(journal, failed));
  }

  /** A reading that was missed once says nothing yet. */
  async #found(watched: Watched, again: () => Promise<Reading | null>): Promise<string | null> {
    const found = wrongIn(watched, this.#runner.policy);
    if (found === null || (watched.last?.ready ?? false)) return found;
    await this.#effects.wait(watchSeconds, this.#runner.stop);
    return wrongIn({ ...watched, last: await again() }, this.#runner.policy);
  }

  #spec(host: string, which: "before" | "after"): SpecText {
    const digest = this.#newest.hosts[host]?.[which] ?? "";
    const text = this.#journal?.specs[digest];
    if (text === undefined) throw new Error(`the journal has lost the spec ${digest} of ${host}`);
    return text;
  }

  /** @param change does nothing to a journal that is past it: it may be written twice */
  #note(change: Change): void {
    this.#unwritten.add(change);
    this.#journal = change(this.#journal as Journal);
  }

  /** Also says that this runner lives, and hears what others wish. */
  async #write(change: Change = (journal) => journal): Promise<void> {
    const { id } = this.#runner;
    const taken = [...this.#unwritten];
    this.#heard = this.#effects.now();
    const written = await this.#effects.journal.change((journal) => {
      if (journal.lease?.id !== id)
        throw new LeaseLost(
          "another runner has taken this rollout over; nothing more is touched from here. Next: `npx lmstack fleet status` shows whose it is",
        );
      const heartbeat = momentOf(this.#effects.now());
      return change(withAll({ ...journal, lease: { ...journal.lease, heartbeat } }, taken));
    });
    for (const one of taken) this.#unwritten.delete(one);
    this.#journal = withAll(written, this.#unwritten);
  }

  async #beat(over: AbortSignal): Promise<void> {
    for (;;) {
      const silent = this.#effects.now().since(this.#heard).total("seconds");
      await this.#effects.wait(heartbeatSeconds - silent, over);
      if (over.aborted) return;
      // Other writes say as much, and each is an `up`.
      if (this.#effects.now().since(this.#heard).total("seconds") < heartbeatSeconds) continue;
      // The next step's own write meets the same fault, and tells it.
      await this.#write().catch((error: unknown) => {
        if (error instanceof LeaseLost) this.#lost = error;
      });
    }
  }
}

const broughtWords = ({ hosts, left }: Brought): string =>
  [
    `${hosts.length} ${hosts.length === 1 ? "host has" : "hosts have"} them from others`,
    ...[...left].map(([host, why]) => `${host} fetches its own: ${why}`),
  ].join("; ");

/** Whatever it was, the host is not known to be well. */
const wordsOf = (error: unknown): string => {
  if (error instanceof LeaseLost) throw error;
  return error instanceof Error ? error.message : String(error);
};

async function inParallel<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1]);
  };
  const all = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  const failed = all.find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
  return results;
}
