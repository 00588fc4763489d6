import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import { readText, writeAtomic } from "../atomic-file.ts";
import { lastLine, privileged, run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { renderLaunchdPlist } from "./launchd-plist.ts";
import type { Service, ServiceSpec, ServiceState } from "./service.ts";

export interface LaunchdPlace {
  readonly domain: string;
  readonly target: string;
  readonly file: string;
}

/** A LaunchDaemon runs before anybody logs in but needs root; a LaunchAgent needs a session of the user. */
export function launchdPlace(label: string, system: boolean, uid: number, home: string): LaunchdPlace {
  const domain = system ? "system" : `gui/${uid}`;
  const folder = system ? "/Library/LaunchDaemons" : join(home, "Library", "LaunchAgents");
  return { domain, target: `${domain}/${label}`, file: join(folder, `${label}.plist`) };
}

export function launchctlArguments(
  verb: "bootstrap" | "bootout" | "kickstart" | "enable" | "print",
  place: LaunchdPlace,
): string[] {
  if (verb === "bootstrap") return ["bootstrap", place.domain, place.file];
  if (verb === "kickstart") return ["kickstart", "-k", place.target];
  return [verb, place.target];
}

export class LaunchdService implements Service {
  readonly flavour = "launchd";
  readonly wantedText: string;
  private readonly host: Host;
  private readonly become: Become;
  private readonly place: LaunchdPlace;

  constructor(host: Host, become: Become, spec: ServiceSpec) {
    this.host = host;
    this.become = become;
    const label = `dev.lmstack.${spec.name.replace("lmstack-", "")}`;
    const system = become === "sudo";
    this.place = launchdPlace(label, system, host.uid, host.home);
    this.wantedText = renderLaunchdPlist({
      label,
      command: spec.command,
      home: host.home,
      log: join(host.paths.logs, `${spec.name}.log`),
      exitSeconds: spec.stopSeconds,
      ...(system ? { user: host.user } : {}),
    });
  }

  async state(): Promise<ServiceState> {
    const print = await run(this.host, "launchctl", launchctlArguments("print", this.place), { timeoutMs: 10_000 });
    const text = await readText(this.place.file);
    return { active: /state = running/.test(print.stdout), enabled: print.code === 0 && text !== null, text };
  }

  async install(): Promise<boolean> {
    const before = await this.state();
    if (before.text === this.wantedText && before.enabled) return false;
    await mkdir(this.host.paths.logs, { recursive: true, mode: 0o700 });
    if (before.enabled) await this.launchctl("bootout");
    if (this.become === "sudo")
      await privileged(this.host, "sudo", ["install", "-m", "0644", "/dev/stdin", this.place.file], {
        input: this.wantedText,
      });
    else {
      await mkdir(dirname(this.place.file), { recursive: true });
      await writeAtomic(this.place.file, this.wantedText, 0o644);
    }
    await this.launchctl("enable");
    await this.launchctl("bootstrap");
    return before.text !== this.wantedText;
  }

  async start(): Promise<void> {
    const before = await this.state();
    if (before.active) return;
    if (!before.enabled) await this.launchctl("bootstrap");
    await this.launchctl("kickstart");
  }

  async restart(): Promise<void> {
    await this.launchctl("kickstart");
  }

  async pid(): Promise<number | null> {
    const { stdout } = await run(this.host, "launchctl", launchctlArguments("print", this.place), {
      timeoutMs: 10_000,
    });
    return Number(/^\s*pid = (\d+)$/m.exec(stdout)?.[1]) || null;
  }

  /** KeepAlive brings back what is only killed, so a stop is a bootout; `start` bootstraps again. */
  async stop(): Promise<void> {
    if ((await this.state()).enabled) await this.launchctl("bootout");
  }

  async remove(): Promise<void> {
    await this.stop();
    if (this.become === "sudo") await privileged(this.host, "sudo", ["rm", "-f", this.place.file]);
    else await rm(this.place.file, { force: true });
  }

  private async launchctl(verb: Parameters<typeof launchctlArguments>[0]): Promise<void> {
    const words = launchctlArguments(verb, this.place);
    if (this.become === "sudo") return await privileged(this.host, "sudo", ["launchctl", ...words]);
    const outcome = await run(this.host, "launchctl", words, { timeoutMs: 60_000 });
    if (outcome.code === 0) return;
    throw new HostFailure(
      "service_failed",
      `launchctl ${words.join(" ")}: ${lastLine(outcome.stderr)}`,
      "look at ~/.lmstack/logs on the host",
    );
  }
}
