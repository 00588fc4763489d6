/** A fleet that is not there: hosts that take a spec in several moments, a gateway that keeps a list, a journal in memory, and time that jumps. */
import { type Policy, policySchema } from "../../../../../infra/fleet/inventory.ts";
import type { Reading } from "../../../../../infra/fleet/metrics.ts";
import type { SeenHost } from "../../../../../infra/fleet/plan.ts";
import { type Effects, HostFault, type JournalStore } from "../../../../../infra/fleet/rollout/effects.ts";
import type { Happening } from "../../../../../infra/fleet/rollout/events.ts";
import { emptyJournal, type Journal, type SpecText } from "../../../../../infra/fleet/rollout/journal.ts";
import { LeaseLost, runRollout } from "../../../../../infra/fleet/rollout/run.ts";
import { declaredIn } from "../../../../../infra/fleet/rollout/steps.ts";
import { asSeen, begin, resume } from "../../../../../infra/fleet/rollout/take.ts";

export const specOf = (model: string, host: string): SpecText => JSON.stringify({ host, models: [{ id: model }] });

export interface Behaviour {
  /** Where a spec with this model does not come up. */
  readonly breaks: (host: string, model: string) => boolean;
  /** Where it comes up, and then does not last. */
  readonly dies?: (host: string, model: string) => boolean;
  /** Tokens a second of a stream. */
  readonly pace?: (model: string) => number;
  /** What clients call a model; its own name when nobody says. */
  readonly calls?: (model: string) => string;
  readonly policy?: object;
  /** The gateway can be told to send nothing more. */
  readonly drains?: () => boolean;
}

interface Box {
  spec: SpecText;
  /** In the middle of a change. */
  torn: boolean;
  alive: boolean;
  /** Models whose files are there. */
  readonly files: Set<string>;
  /** What its proxy has counted of each model, and until when: tokens, and the time that streams took for them. */
  readonly counted: Map<string, { readonly count: number; readonly seconds: number }>;
  countedAt: number;
}

/** Ends whoever awaits it: a killed process neither goes on nor fails. */
const forever = new Promise<never>(() => {});

export class FakeFleet {
  readonly boxes = new Map<string, Box>();
  readonly drained = new Set<string>();
  readonly happenings: Happening[] = [];
  /** What the runner said that was overtaken last. */
  overtaken: LeaseLost | undefined;
  /** Hosts that were being changed at the same time, at most. */
  mostAway = 0;
  /** Requests that met a broken host through the gateway would have failed there. */
  exposed = 0;
  /** Of the journal. */
  writes = 0;
  /** Files that came from where models are published. */
  downloads = 0;
  /** Whoever has the lease is still at work. */
  othersLive = false;
  journal: Journal = emptyJournal;
  readonly policy: Policy;
  stacksAtOnce = 8;
  readonly #behaviour: Behaviour;
  #seconds = 0;
  #away = 0;

  constructor(names: readonly string[], behaviour: Behaviour) {
    this.#behaviour = behaviour;
    this.policy = policySchema.parse({ bakeSeconds: 10, keepServing: 0, ...behaviour.policy });
    for (const name of names) {
      const counted = new Map([[this.#callOf("A"), { count: 100, seconds: 100 / this.#paceOf("A") }]]);
      const box = { torn: false, alive: true, files: new Set(["A"]), counted, countedAt: 0 };
      this.boxes.set(name, { spec: specOf("A", name), ...box });
    }
  }

  now = (): Temporal.Instant =>
    Temporal.Instant.from("2026-11-28T12:00:00Z").add({ seconds: Math.round(this.#seconds) });

  #works(box: Box, host: string): boolean {
    const [model = ""] = declaredIn(box.spec);
    return box.alive && !box.torn && !this.#behaviour.breaks(host, model) && !this.#behaviour.dies?.(host, model);
  }

  seen(host: string, wanted: SpecText): SeenHost {
    const box = this.boxes.get(host) as Box;
    const right = box.spec === wanted && !box.torn;
    const [model = ""] = declaredIn(box.spec);
    const available = box.alive && !box.torn && !this.#behaviour.breaks(host, model);
    return {
      ...{ name: host, platform: "linux-cuda", labels: {}, groups: [], declares: declaredIn(wanted) },
      ...{ available, serves: available ? declaredIn(box.spec) : [] },
      ...{ reading: this.#reading(host), provedPaces: {}, steps: right ? [] : this.#steps(box, wanted), failed: null },
      refusal: box.alive ? null : { why: "it does not answer", next: "switch it on" },
    };
  }

  #steps({ files }: Box, wanted: SpecText): SeenHost["steps"] {
    const lacking = declaredIn(wanted).filter((model) => !files.has(model));
    return [...lacking.map((model) => ({ resource: `model-file-${model}` })), { resource: "model" }];
  }

  /** @param step is called before and after each thing that is done to the world; it may never come back */
  effects(step: () => Promise<void>): Effects {
    const around = async <T>(work: () => T | Promise<T>): Promise<T> => {
      await step();
      const result = await work();
      await step();
      return result;
    };
    const store: JournalStore = {
      read: () => around(() => this.journal),
      change: (change) =>
        around(() => {
          this.journal = change(this.journal);
          this.writes++;
          return this.journal;
        }),
    };
    return {
      journal: store,
      gateway: {
        drain: (host) =>
          around(() => {
            if (this.#behaviour.drains?.() === false) throw new Error("the gateway does not answer");
            this.drained.add(host);
          }),
        undrain: (host) =>
          around(() => {
            this.drained.delete(host);
            const box = this.boxes.get(host) as Box;
            if (!this.#works(box, host)) this.exposed++;
          }),
      },
      spread: ({ models }) =>
        around(() => {
          const sources = [...this.boxes.values()].flatMap(({ files }) => [...files]);
          for (const [host, lacking] of models)
            for (const model of lacking) if (sources.includes(model)) this.boxes.get(host)?.files.add(model);
          return { hosts: [], left: new Map() };
        }),
      preview: (host) =>
        around(() => {
          this.#seconds += 5;
          return { changes: { update: 1 }, lastGood: (this.boxes.get(host) as Box).spec };
        }),
      up: async (host, spec) => {
        const box = this.boxes.get(host) as Box;
        this.#away++;
        this.mostAway = Math.max(this.mostAway, this.#away);
        try {
          await around(() => {
            if (!box.alive) throw new HostFault("it does not answer");
            if (box.spec !== spec) box.torn = true;
          });
          await around(() => {
            box.spec = spec;
            for (const model of declaredIn(spec)) {
              if (!box.files.has(model)) this.downloads++;
              box.files.add(model);
            }
            if (this.#behaviour.breaks(host, declaredIn(spec)[0] ?? "")) throw new HostFault("the model does not load");
            box.torn = false;
            this.#seconds += 30;
          });
        } finally {
          this.#away--;
        }
      },
      look: (host, spec) => around(() => this.seen(host, spec)),
      measure: (host) => around(() => this.#reading(host)),
      now: this.now,
      wait: async (seconds, signal) => {
        // Heartbeats come with time, and time passes only where a watch waits for it.
        if (seconds > 10)
          return await new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        await step();
        this.#seconds += seconds;
      },
    };
  }

  #callOf(model: string): string {
    return this.#behaviour.calls?.(model) ?? model;
  }

  #paceOf(model: string): number {
    return this.#behaviour.pace?.(model) ?? 40;
  }

  #reading(host: string): Reading | null {
    const box = this.boxes.get(host) as Box;
    const [model = ""] = declaredIn(box.spec);
    const called = this.#callOf(model);
    const more = (this.#seconds - box.countedAt) * 10;
    const { count, seconds } = box.counted.get(called) ?? { count: 0, seconds: 0 };
    const betweenTokens = { count: count + more, seconds: seconds + more / this.#paceOf(model) };
    box.counted.set(called, betweenTokens);
    box.countedAt = this.#seconds;
    const dies = this.#behaviour.dies?.(host, model) ?? false;
    return {
      ...{
        at: this.#seconds * 1_000,
        since: 1,
        ready: !dies && this.#works(box, host),
        requests: 100 + this.#seconds * 10,
        errors: 0,
      },
      models: {
        [called]: {
          ...{ running: 0, queued: 0, slots: 2, outputTokens: betweenTokens.count, thoughts: 0 },
          ...{ firstToken: { seconds: 1, count: 1 }, betweenTokens },
        },
      },
    };
  }

  /** One run of the command, from here. */
  async command(
    name: string,
    models: Readonly<Record<string, string>> | "resume",
    step: () => Promise<void> = async () => {},
    stop: AbortSignal = new AbortController().signal,
  ): Promise<void> {
    const effects = this.effects(step);
    const me = { id: name, user: "ada", machine: "desk", pid: 1 };
    const here = { machine: "desk", runs: () => this.othersLive };
    const names = [...this.boxes.keys()];
    if (models === "resume") await resume(effects, me, here);
    else {
      const changed = names.filter((host) => specOf(models[host] ?? "A", host) !== this.boxes.get(host)?.spec);
      const hosts = changed.map((host) => [host, specOf(models[host] ?? "A", host)]);
      const wanted = { kind: "rollout", revision: "abc", hosts: Object.fromEntries(hosts) } as const;
      await begin(effects, me, here, wanted);
    }
    const [rollout] = this.journal.rollouts;
    const fleet = names.map((host) => {
      const digest = rollout?.hosts[host]?.after;
      return this.seen(host, this.journal.specs[digest ?? ""] ?? (this.boxes.get(host) as Box).spec);
    });
    if (models === "resume") await effects.journal.change((journal) => asSeen(journal, fleet));
    const emit = (happening: Happening) => void this.happenings.push(happening);
    const { policy, stacksAtOnce } = this;
    await runRollout(effects, { id: name, policy, fleet, stacksAtOnce, emit, stop }).catch((error: unknown) => {
      if (!(error instanceof LeaseLost)) throw error;
      this.overtaken = error;
    });
  }

  /** Killed at one moment: nothing that it would have done after it is done. @returns whether it lived to its end */
  async killedAt(
    moment: number,
    models: Readonly<Record<string, string>> | "resume",
    name = "first",
  ): Promise<boolean> {
    let moments = 0;
    let killed = () => {};
    const death = new Promise<false>((resolve) => {
      killed = () => resolve(false);
    });
    const step = async () => {
      if (++moments <= moment) return;
      killed();
      await forever;
    };
    return await Promise.race([this.command(name, models, step).then(() => true as const), death]);
  }
}
