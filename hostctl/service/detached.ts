import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readJson, writeJson } from "../atomic-file.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { endProcess, isSame, markOf, type ProcessMark } from "../process.ts";
import type { Service, ServiceSpec, ServiceState } from "./service.ts";

/** Where no service manager can be used: a process with a pid file. It does not survive a reboot, and says so. */
export class DetachedService implements Service {
  readonly flavour = "detached";
  readonly wantedText = null;
  private readonly host: Host;
  private readonly spec: ServiceSpec;
  private readonly pidFile: string;

  constructor(host: Host, spec: ServiceSpec) {
    this.host = host;
    this.spec = spec;
    this.pidFile = join(host.paths.run, `${spec.name}.pid`);
  }

  async state(): Promise<ServiceState> {
    const active = isSame(await this.mark());
    return { active, enabled: active, text: null };
  }

  async install(): Promise<boolean> {
    return false;
  }

  async start(): Promise<void> {
    if (isSame(await this.mark())) return;
    this.host.say(`${this.spec.name} runs as a plain process here: it does not come back after a reboot by itself`);
    mkdirSync(this.host.paths.logs, { recursive: true, mode: 0o700 });
    const log = join(this.host.paths.logs, `${this.spec.name}.log`);
    const fd = openSync(log, "a", 0o600);
    const [file = "", ...args] = this.spec.command;
    const child = spawn(file, args, {
      cwd: this.host.home,
      detached: true,
      stdio: ["ignore", fd, fd],
      env: { ...process.env, HOME: this.host.home },
    });
    closeSync(fd);
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    if (child.pid !== undefined) await writeJson(this.pidFile, markOf(child.pid));
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async pid(): Promise<number | null> {
    const mark = await this.mark();
    return isSame(mark) ? mark.pid : null;
  }

  async stop(): Promise<void> {
    const mark = await this.mark();
    if (isSame(mark) && !(await endProcess(mark, this.spec.stopSeconds * 1000))) {
      throw new HostFailure(
        "service_failed",
        `${this.spec.name} (pid ${mark.pid}) cannot be ended`,
        `end pid ${mark.pid} by hand`,
      );
    }
    await rm(this.pidFile, { force: true });
  }

  async remove(): Promise<void> {
    await this.stop();
  }

  private async mark(): Promise<ProcessMark | null> {
    return await readJson<ProcessMark>(this.pidFile);
  }
}
