import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import { launchdLabel } from "../../infra/spec/host-layout.ts";
import { readText, writeAtomic } from "../atomic-file.ts";
import { asRoot, lastLine, type Outcome, privileged, run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { pause } from "../pause.ts";
import { launchctlCodes as codes, isDisabled, type LaunchdJob, parsePrint } from "./launchctl.ts";
import { renderLaunchdPlist } from "./launchd-plist.ts";
import type { Service, ServiceSpec, ServiceState } from "./service.ts";

const lookMs = 200;
/** For launchd to be done with a job that has ended. */
const settleMs = 20_000;

/** A LaunchDaemon, which runs before anybody logs in but needs root, or a LaunchAgent, which lives in a login session of its user. */
export class LaunchdService implements Service {
  readonly flavour = "launchd";
  readonly wantedText: string;
  private readonly host: Host;
  private readonly system: boolean;
  private readonly label: string;
  private readonly domain: string;
  private readonly file: string;
  private readonly stopMs: number;
  /** The agent from when the spec said `become: none`; the two would fight for one daemon and one port. */
  private readonly former: LaunchdService | null;

  constructor(host: Host, become: Become, spec: ServiceSpec) {
    this.host = host;
    this.system = become === "sudo";
    this.label = launchdLabel(spec.name);
    this.domain = this.system ? "system" : `gui/${host.uid}`;
    this.file = launchdFile(host, become, spec.name);
    this.stopMs = spec.stopSeconds * 1000;
    this.former = this.system ? new LaunchdService(host, "none", spec) : null;
    this.wantedText = renderLaunchdPlist({
      label: this.label,
      command: spec.command,
      home: host.home,
      log: join(host.paths.logs, `${spec.name}.log`),
      exitSeconds: spec.stopSeconds,
      ...(this.system ? { user: host.user } : {}),
    });
  }

  async state(): Promise<ServiceState> {
    const [job, text, disabled] = await Promise.all([
      this.job(),
      readText(this.file),
      run(this.host, "launchctl", ["print-disabled", this.domain], { timeoutMs: 10_000 }),
    ]);
    return { active: job?.active === true, enabled: text !== null && !isDisabled(disabled.stdout, this.label), text };
  }

  /** A job that runs goes on with the text that it was started with, as with systemd; `restart` puts the new one to work. */
  async install(): Promise<boolean> {
    await this.removeFormer();
    const before = await this.state();
    const changed = before.text !== this.wantedText;
    if (changed) await this.write();
    if (changed || !before.enabled) this.expect(await this.launchctl("enable", this.target), "enable");
    return changed;
  }

  async start(): Promise<void> {
    const job = await this.job();
    if (job?.active) return;
    // Loaded and idle: it may have been loaded with a former text.
    if (job !== null) await this.stop();
    await this.bootstrap();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.bootstrap();
  }

  async pid(): Promise<number | null> {
    return (await this.job())?.pid ?? null;
  }

  /** KeepAlive brings back what is only killed, so a stop is a bootout. That returns before the job has ended. */
  async stop(): Promise<void> {
    if ((await this.job()) === null) return;
    const out = await this.launchctl("bootout", this.target);
    this.expect(out, "bootout", codes.noSuchProcess, codes.nowInProgress, codes.notFound);
    const deadline = Date.now() + this.stopMs + settleMs;
    while ((await this.job()) !== null) {
      if (Date.now() > deadline) throw this.failure("bootout", "launchd still has the job");
      await pause(lookMs);
    }
  }

  async remove(): Promise<void> {
    await this.removeFormer();
    await this.stop();
    if ((await readText(this.file)) === null) return;
    if (this.system) await privileged(this.host, "sudo", ["rm", "-f", this.file]);
    else await rm(this.file, { force: true });
  }

  private get target(): string {
    return `${this.domain}/${this.label}`;
  }

  /** Null when launchd does not have it. */
  private async job(): Promise<LaunchdJob | null> {
    const { code, stdout } = await run(this.host, "launchctl", ["print", this.target], { timeoutMs: 10_000 });
    return code === 0 ? parsePrint(stdout) : null;
  }

  private async bootstrap(): Promise<void> {
    const deadline = Date.now() + settleMs;
    for (;;) {
      const outcome = await this.launchctl("bootstrap", this.domain, this.file);
      if (outcome.code === 0) return;
      const busy = outcome.code === codes.inputOutput || outcome.code === codes.alreadyInProgress;
      // Both codes also mean that it is loaded: somebody else was quicker.
      if (busy && (await this.job()) !== null && outcome.code === codes.inputOutput) return;
      if (outcome.code === codes.disabled) this.expect(await this.launchctl("enable", this.target), "enable");
      else if (!busy || Date.now() > deadline) throw this.refusal(outcome);
      await pause(lookMs);
    }
  }

  private async write(): Promise<void> {
    const { host, file, wantedText } = this;
    await mkdir(host.paths.logs, { recursive: true, mode: 0o700 });
    if (!this.system) {
      await mkdir(dirname(file), { recursive: true });
      return await writeAtomic(file, wantedText, 0o644);
    }
    // Not `install`, which takes nothing but regular files on macOS, whose path a sudo rule would have to know.
    await privileged(host, "sudo", ["tee", file], { input: wantedText });
    await privileged(host, "sudo", ["chmod", "0644", file]);
  }

  private async removeFormer(): Promise<void> {
    if (this.former !== null && (await readText(this.former.file)) !== null) await this.former.remove();
  }

  private async launchctl(...words: readonly string[]): Promise<Outcome> {
    if (this.system) return await asRoot(this.host, "sudo", ["launchctl", ...words]);
    return await run(this.host, "launchctl", words, { timeoutMs: 60_000 });
  }

  private expect(outcome: Outcome, verb: string, ...fine: readonly number[]): void {
    if (outcome.code === 0 || (outcome.code !== null && fine.includes(outcome.code))) return;
    throw this.failure(verb, lastLine(outcome.stderr) || `exit ${outcome.code}`);
  }

  private refusal(outcome: Outcome): HostFailure {
    const { user } = this.host;
    if (outcome.code !== codes.noSuchDomain)
      return this.failure("bootstrap", lastLine(outcome.stderr) || `exit ${outcome.code}`);
    return new HostFailure(
      "service_failed",
      `nobody is logged in as ${user} at this Mac's screen, and with become: none the services live in such a session`,
      `set connection.become: sudo, or log in there and let the Mac log ${user} in at boot`,
    );
  }

  private failure(verb: string, found: string): HostFailure {
    return new HostFailure(
      "service_failed",
      `launchctl ${verb} ${this.target}: ${found}`,
      "look at ~/.lmstack/logs on the host, and whether System Settings, General, Login Items lets lmstack run in the background",
    );
  }
}

export function launchdFile(host: Host, become: Become, name: string): string {
  const folder = become === "sudo" ? host.launchDaemons : join(host.home, "Library", "LaunchAgents");
  return join(folder, `${launchdLabel(name)}.plist`);
}
