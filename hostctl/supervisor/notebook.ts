import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readAdopted } from "../adoption.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { asFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { isSame, type ProcessMark } from "../process.ts";
import { type Action, afterFailure, type Failed, keyOf, type Memory } from "./decide.ts";

interface Kept {
  /** The daemon that the rest speaks of: what was loaded died with it. */
  readonly daemon: ProcessMark | null;
  readonly startedByUs: boolean;
  readonly engine: string | null;
  readonly loaded: Record<string, string>;
}

const empty: Kept = { daemon: null, startedByUs: false, engine: null, loaded: {} };

/** What the supervisor must still know after it was killed, next to what it may forget (failures). */
export class Notebook {
  private readonly host: Host;
  private kept: Kept = empty;
  private failures: Record<string, Failed> = {};
  private keep: readonly string[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  static async open(host: Host): Promise<Notebook> {
    const notebook = new Notebook(host);
    const kept = await readJson<Kept>(keptPath(host));
    if (kept !== null && isSame(kept.daemon)) notebook.kept = kept;
    return notebook;
  }

  get memory(): Memory {
    return { loaded: this.kept.loaded, engine: this.kept.engine, failures: this.failures, keep: this.keep };
  }

  get startedByUs(): boolean {
    return this.kept.startedByUs;
  }

  async refresh(): Promise<void> {
    this.keep = (await readAdopted(this.host))?.instances.map((instance) => instance.identifier) ?? [];
  }

  /** Another daemon than before: nothing that was loaded is left. */
  async newDaemon(daemon: ProcessMark | null, startedByUs: boolean): Promise<void> {
    if (daemon?.pid === this.kept.daemon?.pid && daemon?.started === this.kept.daemon?.started) return;
    await this.save({ daemon, startedByUs, engine: null, loaded: {} });
  }

  async engineProved(engine: string): Promise<void> {
    await this.save({ ...this.kept, engine });
  }

  /** Before the load: a kill right after it must not make the instance somebody else's. */
  async loading(identifier: string, digest: string): Promise<void> {
    await this.save({ ...this.kept, loaded: { ...this.kept.loaded, [identifier]: digest } });
  }

  async unloaded(identifier: string): Promise<void> {
    const { [identifier]: _, ...loaded } = this.kept.loaded;
    await this.save({ ...this.kept, loaded });
  }

  /** The `lms load` that runs: when this supervisor is killed, it goes on, and the next one has to wait for it. */
  busyWith(mark: ProcessMark | null): void {
    if (mark === null) void rm(busyPath(this.host), { force: true });
    else writeFileSync(busyPath(this.host), JSON.stringify(mark), { mode: 0o600 });
  }

  async leftOver(): Promise<ProcessMark | null> {
    return await readJson<ProcessMark>(busyPath(this.host));
  }

  failed(action: Action, error: unknown, now: number): Failed {
    const { code, message, hint } = asFailure(error);
    const key = keyOf(action);
    const failed = afterFailure(this.failures[key], action, { code, reason: message, hint }, now);
    this.failures[key] = failed;
    return failed;
  }

  succeeded(action: Action): void {
    delete this.failures[keyOf(action)];
  }

  forgetFailures(): void {
    this.failures = {};
  }

  private async save(kept: Kept): Promise<void> {
    this.kept = kept;
    await writeJson(keptPath(this.host), kept);
  }
}

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
