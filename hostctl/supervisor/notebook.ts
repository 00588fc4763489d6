import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Adopted, readAdopted } from "../adoption.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { asFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { isSame, type ProcessMark } from "../process.ts";
import { controlGroupOf } from "./control-group.ts";
import { type Action, type DesiredModel, keyOf, type Memory } from "./decide.ts";
import { afterFailure, beforeRepair, type Course, type Failed, fresh } from "./quarantine.ts";

interface Kept {
  /** The daemon that the rest speaks of: what was loaded died with it. */
  readonly daemon: ProcessMark | null;
  readonly startedByUs: boolean;
  readonly engine: string | null;
  readonly loaded: Record<string, string>;
  /** Instances that answer for models of another name. */
  readonly serves: Record<string, string>;
  /** Outlives the daemon: a crash in the middle of a change must not lose what served before. */
  readonly good: Record<string, DesiredModel>;
}

const empty: Kept = { daemon: null, startedByUs: false, engine: null, loaded: {}, serves: {}, good: {} };

/** What the supervisor must still know after it was killed, next to what it may forget (failures). */
export class Notebook {
  private readonly host: Host;
  private kept: Kept = empty;
  private failures: Record<string, Failed> = {};
  private courses: Record<string, Course> = {};
  private serverStops = 0;
  private lmsHung = 0;
  private adopted: Adopted | null = null;
  /** Told by whoever probes them. */
  silent: readonly string[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  static async open(host: Host): Promise<Notebook> {
    const notebook = new Notebook(host);
    const kept = await readJson<Kept>(keptPath(host));
    if (kept !== null && isSame(kept.daemon)) notebook.kept = { ...empty, ...kept };
    else notebook.kept = { ...empty, good: kept?.good ?? {} };
    return notebook;
  }

  get memory(): Memory {
    const { failures, serverStops, lmsHung, silent } = this;
    const { loaded, engine, serves, good } = this.kept;
    const keep = this.adopted?.instances.map((instance) => instance.identifier) ?? [];
    return { loaded, engine, serves, good, failures, keep, serverStops, lmsHung, silent };
  }

  get startedByUs(): boolean {
    return this.kept.startedByUs;
  }

  async refresh(): Promise<void> {
    this.adopted = await readAdopted(this.host);
  }

  /** Started by us, in our control group, or there before lmstack and to be left as it is. */
  async isOurs(mark: ProcessMark): Promise<boolean> {
    const { kept, adopted } = this;
    if (kept.startedByUs && sameMark(kept.daemon, mark)) return true;
    if (adopted?.daemonRunning === true && (adopted.daemon === undefined || sameMark(adopted.daemon, mark)))
      return true;
    return (await controlGroupOf(mark.pid)) === "ours";
  }

  /** Another daemon than before: nothing that was loaded is left. */
  async newDaemon(daemon: ProcessMark | null, startedByUs: boolean): Promise<void> {
    if (sameMark(daemon, this.kept.daemon)) return;
    // What was right in the daemon before went with it, by no fault of its own.
    this.courses = Object.fromEntries(Object.entries(this.courses).filter(([key]) => /-daemon$/.test(key)));
    await this.save({ ...empty, daemon, startedByUs, good: this.kept.good });
  }

  async engineProved(engine: string | null): Promise<void> {
    await this.save({ ...this.kept, engine });
  }

  /** Before the load: a kill right after it must not make the instance somebody else's. */
  async loading(identifier: string, digest: string): Promise<void> {
    await this.save({ ...this.kept, loaded: { ...this.kept.loaded, [identifier]: digest } });
  }

  async unloaded(identifier: string): Promise<void> {
    const { [identifier]: _, ...loaded } = this.kept.loaded;
    const serves = Object.fromEntries(
      Object.entries(this.kept.serves).filter(([, instance]) => instance !== identifier),
    );
    await this.save({ ...this.kept, loaded, serves });
  }

  /** From here on this instance answers for the model. */
  async serving(instance: string, model: string): Promise<void> {
    const { [model]: _, ...others } = this.kept.serves;
    await this.save({ ...this.kept, serves: instance === model ? others : { ...others, [model]: instance } });
  }

  /** A load to return to. */
  async good(model: DesiredModel): Promise<void> {
    await this.save({ ...this.kept, good: { ...this.kept.good, [model.identifier]: model } });
  }

  /** What is not declared any more is not returned to. */
  async forgetUndeclared(models: readonly DesiredModel[]): Promise<void> {
    const good = Object.entries(this.kept.good).filter(([id]) => models.some(({ identifier }) => identifier === id));
    if (good.length < Object.keys(this.kept.good).length)
      await this.save({ ...this.kept, good: Object.fromEntries(good) });
  }

  /** The `lms load` that runs: when this supervisor is killed, it goes on, and the next one has to wait for it. */
  busyWith(mark: ProcessMark | null): void {
    if (mark === null) void rm(busyPath(this.host), { force: true });
    else writeFileSync(busyPath(this.host), JSON.stringify(mark), { mode: 0o600 });
  }

  async leftOver(): Promise<ProcessMark | null> {
    return await readJson<ProcessMark>(busyPath(this.host));
  }

  /** Call before an action; when it has been needed too often, it is quarantined instead, and this says so. */
  beginning(action: Action, words: string, now: number): Failed | null {
    const key = keyOf(action);
    const { course, quarantined } = beforeRepair(this.courses[key] ?? fresh, words, now);
    this.courses[key] = course;
    if (quarantined !== null) this.failures[key] = quarantined;
    return quarantined;
  }

  failed(action: Action, error: unknown, now: number): Failed {
    const { code, message, hint } = asFailure(error);
    const key = keyOf(action);
    const failed = afterFailure(this.failures[key], action, { code, reason: message, hint }, now);
    this.failures[key] = failed;
    this.lmsHung = code === "daemon_hangs" ? this.lmsHung + 1 : 0;
    return failed;
  }

  succeeded(action: Action, now: number): void {
    const key = keyOf(action);
    delete this.failures[key];
    this.courses[key] = { relapses: [], ...this.courses[key], doneAt: now };
    this.lmsHung = 0;
    if (action.do === "stop-server") this.serverStops++;
  }

  /** The daemon died of a load: that one's failures are counted, not the daemon's starts. */
  diedOf(action: Action): void {
    if (action.do === "load" || action.do === "swap") this.courses["start-daemon"] = fresh;
  }

  /** A server that hangs soon after its start has answered a few times too. */
  serverAnswered(now: number): void {
    if (now - (this.courses["stop-server"]?.doneAt ?? 0) > 60_000) this.serverStops = 0;
  }

  forgetFailures(): void {
    this.failures = {};
    this.courses = {};
    this.serverStops = 0;
    this.lmsHung = 0;
  }

  private async save(kept: Kept): Promise<void> {
    this.kept = kept;
    await writeJson(keptPath(this.host), kept);
  }
}

const sameMark = (one: ProcessMark | null, other: ProcessMark | null): boolean =>
  one?.pid === other?.pid && one?.started === other?.started;

function keptPath(host: Host): string {
  return join(host.paths.run, "kept.json");
}

function busyPath(host: Host): string {
  return join(host.paths.run, "loading.json");
}

/** For `observe`, which asks nobody. */
export async function keptDaemon(host: Host): Promise<{ daemon: ProcessMark | null; startedByUs: boolean }> {
  return (await readJson<Kept>(keptPath(host))) ?? empty;
}
