/** `lmstack fleet rollout` and its kin: a fleet changed host by host, with a way back. */
import { randomUUID } from "node:crypto";
import { availableParallelism, hostname, totalmem, userInfo } from "node:os";
import { few } from "../fleet/compose.ts";
import { FleetLooks } from "../fleet/look.ts";
import { planOnly, type SeenHost } from "../fleet/plan.ts";
import { planLines } from "../fleet/plan-lines.ts";
import type { Happening } from "../fleet/rollout/events.ts";
import {
  isOver,
  type Journal,
  type Lease,
  momentOf,
  type RolloutEntry,
  type SpecText,
  specsAfter,
} from "../fleet/rollout/journal.ts";
import { type Held, type Here, heldBy } from "../fleet/rollout/lease.ts";
import { PulumiFleet } from "../fleet/rollout/pulumi-fleet.ts";
import { historyLines, statusLines } from "../fleet/rollout/report.ts";
import { runRollout, stacksOn } from "../fleet/rollout/run.ts";
import { StackJournal } from "../fleet/rollout/store.ts";
import { asSeen, awaitSilence, begin, type Me, refuseUnlessFree, resume } from "../fleet/rollout/take.ts";
import { stableJson } from "../spec/stable-json.ts";
import { CliFault, exitCodes, UsageFault } from "./fault.ts";
import { type FleetFiles, type FleetOptions, filesOf, refusalsOf } from "./fleet.ts";
import { bringUpToDate, runtimeOf } from "./fleet-gateway.ts";
import { progress } from "./progress.ts";
import { projectRoot, useEngine } from "./pulumi.ts";
import { rolloutView } from "./rollout-view.ts";

export interface RolloutOptions extends FleetOptions {
  readonly revision?: string;
  readonly resume?: boolean;
  /** Hosts that may be changed; all when absent. */
  readonly only?: ReadonlySet<string>;
}
export interface RollbackOptions extends FleetOptions {
  readonly to?: string;
}

export async function rollout({ revision, only, ...options }: RolloutOptions): Promise<void> {
  const command = await Command.open(options);
  if (options.resume) return await command.resumed();
  const wanted = command.fleet.hosts.filter(({ name }) => only?.has(name) ?? true);
  const specs = wanted.map(({ name, declared }) => [name, stableJson(declared)] as const);
  await command.begun("rollout", revision ?? null, new Map(specs));
}

/** The journal, and whoever runs a rollout now. */
export async function journalOf(options: FleetOptions): Promise<{ journal: Journal; runner: Held | null }> {
  const { journal, runner } = await Command.open(options);
  return { journal, runner };
}

export async function rollback(options: RollbackOptions): Promise<void> {
  const command = await Command.open(options);
  const { journal } = command;
  const [newest] = journal.rollouts;
  const oldest = journal.rollouts.at(-1);
  if (newest === undefined || oldest === undefined)
    throw new CliFault("there was no rollout yet. Next: `npx lmstack fleet rollout`");
  const to = options.to === undefined ? newest.id - 1 : Number(options.to);
  if (!(Number.isInteger(to) && to >= oldest.id - 1 && to < newest.id))
    throw new UsageFault(
      `--to: found ${options.to}; expected a number from ${oldest.id - 1} to ${newest.id - 1}. Next: \`npx lmstack fleet history\``,
    );
  const specs = Object.entries(specsAfter(journal, to)).filter(([, spec]) => spec !== null) as [string, SpecText][];
  const revision = journal.rollouts.find(({ id }) => id === to)?.revision ?? null;
  await command.begun("rollback", revision, new Map(specs));
}

export async function abort(options: FleetOptions): Promise<void> {
  const command = await Command.open(options);
  if (await command.wish("abort")) return;
  await command.resumed();
}

export async function pause(options: FleetOptions): Promise<void> {
  const command = await Command.open(options);
  if (await command.wish("pause")) return;
  console.error(
    "nobody is rolling now. Next: `npx lmstack fleet rollout --resume` goes on, `npx lmstack fleet abort` takes it back",
  );
}

export async function status(options: FleetOptions): Promise<void> {
  const { journal, runner } = await Command.open(options);
  const [newest] = journal.rollouts;
  if (options.json) console.log(JSON.stringify({ rollout: newest ?? null, runner, held: journal.held }));
  else for (const line of statusLines(newest, runner, journal.held)) console.log(line);
  const broken = newest !== undefined && (newest.state === "failed" || (!isOver(newest) && !runner?.alive));
  if (broken) process.exitCode = exitCodes.unhealthy;
}

export async function history(options: FleetOptions): Promise<void> {
  const { journal } = await Command.open(options);
  if (options.json) console.log(JSON.stringify({ rollouts: journal.rollouts, held: journal.held }));
  else for (const line of historyLines(journal)) console.log(line);
}

const here: Here = {
  machine: hostname(),
  runs: (pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  },
};

/** One run of a verb. */
class Command {
  readonly fleet: FleetFiles;
  readonly #options: FleetOptions;
  readonly #store: StackJournal;
  readonly #me: Me = { id: randomUUID(), user: userInfo().username, machine: here.machine, pid: process.pid };
  #former: Lease | null = null;
  journal: Journal;

  private constructor(options: FleetOptions, fleet: FleetFiles, store: StackJournal, journal: Journal) {
    this.#options = options;
    this.fleet = fleet;
    this.#store = store;
    this.journal = journal;
  }

  static async open(options: FleetOptions): Promise<Command> {
    const [fleet] = await Promise.all([filesOf(options.file, projectRoot), useEngine()]);
    const store = await StackJournal.beside(fleet.files[0]?.file, { here, patienceSeconds: 60, say: console.error });
    return new Command(options, fleet, store, await progress("reading the journal of rollouts", store.read()));
  }

  get runner() {
    const { lease } = this.journal;
    return lease && heldBy(lease, Temporal.Now.instant(), here);
  }

  /** @returns whether somebody is there to do it */
  async wish(what: "pause" | "abort"): Promise<boolean> {
    const [newest] = this.journal.rollouts;
    if (newest === undefined || isOver(newest))
      throw new CliFault("no rollout is running. Next: `npx lmstack fleet history`");
    const { user, machine } = this.#me;
    this.journal = await this.#store.change((journal) => ({ ...journal, wish: { what, user, machine } }));
    if (!this.runner?.alive) return false;
    console.error(
      `the runner (${this.runner.words}) does it when it has finished the wave that it is at. Next: \`npx lmstack fleet status\``,
    );
    if (this.#options.json) console.log(JSON.stringify({ ok: true, rollout: newest.id, asked: what }));
    return true;
  }

  async begun(
    kind: RolloutEntry["kind"],
    revision: string | null,
    specs: ReadonlyMap<string, SpecText>,
  ): Promise<void> {
    refuseUnlessFree(this.journal, Temporal.Now.instant(), here);
    const stale = this.fleet.files.filter(({ before, after }) => before !== after).map(({ host }) => host.name);
    if (kind === "rollout" && stale.length > 0)
      throw new CliFault(
        `stack files are not as ${this.fleet.inventory} says: ${few(stale)}; nothing was touched. Next: \`npx lmstack fleet sync\``,
      );
    await this.#askGateway();
    const fleet = this.#effects();
    const seen = await this.#looked(fleet, specs);
    const plan = planOnly(new Set(specs.keys()), seen, this.fleet.policy, Temporal.Now.instant());
    for (const line of planLines(plan)) console.error(line);
    const open = seen
      .filter(({ name, steps, refusal }) => specs.has(name) && steps.length > 0 && refusal === null)
      .map(({ name }) => name);
    if (plan.waves.length === 0) {
      if (this.#options.json)
        console.log(JSON.stringify({ ok: plan.held.length === 0, rollout: null, held: plan.held }));
      if (plan.held.length > 0) process.exitCode = exitCodes.unhealthy;
      return;
    }
    await bringUpToDate(this.fleet);
    const hosts = open.map((name) => [name, specs.get(name) as SpecText]);
    this.journal = await begin(fleet, this.#me, here, { kind, revision, hosts: Object.fromEntries(hosts) });
    await this.#run(fleet, seen, false);
    if (plan.held.length > 0) process.exitCode ??= exitCodes.unhealthy;
  }

  async resumed(): Promise<void> {
    await this.#askGateway();
    const fleet = this.#effects();
    await awaitSilence(fleet, here, console.error, new AbortController().signal);
    const { lease } = this.journal;
    this.journal = await resume(fleet, this.#me, here);
    this.#former = lease;
    const [newest] = this.journal.rollouts as [RolloutEntry];
    const specs = new Map(this.fleet.hosts.map(({ name, declared }) => [name, stableJson(declared)]));
    for (const [name, { after }] of Object.entries(newest.hosts))
      specs.set(name, this.journal.specs[after] as SpecText);
    const seen = await this.#looked(fleet, specs);
    this.journal = await this.#store.change((journal) => asSeen(journal, seen));
    await this.#run(fleet, seen, true);
  }

  #effects(): PulumiFleet {
    const { gateway, hosts, inventory } = this.fleet;
    return new PulumiFleet({
      ...{ folder: projectRoot, inventory, hosts, looks: new FleetLooks(hosts), journal: this.#store },
      gateway: gateway && runtimeOf(gateway),
      unlocking: { here, former: async () => this.#former },
      message: () => `rollout ${this.journal.rollouts[0]?.id}`,
    });
  }

  /** A gateway that cannot be reached would be met in the middle of the first host. @throws CliFault */
  async #askGateway(): Promise<void> {
    const { gateway } = this.fleet;
    if (gateway === null) return;
    await progress("asking the gateway", runtimeOf(gateway).states()).catch((cause: Error) => {
      const next = `\`npx lmstack up --stack ${gateway.stack}\``;
      throw new CliFault(`the gateway does not answer, nothing was touched: ${cause.message}. Next: ${next}`, {
        cause,
      });
    });
  }

  async #looked(fleet: PulumiFleet, specs: ReadonlyMap<string, SpecText>): Promise<SeenHost[]> {
    const hosts = this.fleet.hosts.map((host) => {
      const spec = specs.get(host.name);
      return spec === undefined ? host : fleet.hostWith(host.name, spec);
    });
    const looking = fleet.lookAtAll(hosts, refusalsOf(this.fleet));
    return await progress(`looking at ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"}`, looking);
  }

  async #run(effects: PulumiFleet, fleet: readonly SeenHost[], resumed: boolean): Promise<void> {
    const { id: rollout, hosts, revision, begun } = this.journal.rollouts[0] as RolloutEntry;
    const stop = new AbortController();
    const stopping = () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
      console.error(
        "\nwhat runs is finished, then it stops; once more ends at once. Next: `npx lmstack fleet rollout --resume`",
      );
    };
    process.on("SIGINT", stopping).on("SIGTERM", stopping);
    const view = rolloutView(this.#options.json);
    const emit = (happening: Happening) => view.show({ at: momentOf(Temporal.Now.instant()), rollout, ...happening });
    try {
      emit({ event: "begun", revision, hosts: Object.keys(hosts), resumed });
      const stacksAtOnce = stacksOn(availableParallelism(), totalmem());
      const runner = { id: this.#me.id, policy: this.fleet.policy, fleet, stacksAtOnce, emit, stop: stop.signal };
      const end = await runRollout(effects, runner);
      const seconds = Temporal.Now.instant().since(Temporal.Instant.from(begun)).total("seconds");
      emit({ event: "ended", state: end.state, why: end.why, seconds });
      if (end.state === "done" && end.why !== null) process.exitCode = exitCodes.unhealthy;
      else if (end.state !== "done") process.exitCode = exitCodes.failed;
    } finally {
      await view.end();
      process.off("SIGINT", stopping).off("SIGTERM", stopping);
    }
  }
}
