import { mkdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import { readText, writeAtomic } from "../atomic-file.ts";
import { lastLine, type Outcome, privileged, run } from "../command.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import type { Flavour, Service, ServiceSpec, ServiceState } from "./service.ts";
import { renderSystemdUnit } from "./systemd-unit.ts";

type Verb = "daemon-reload" | "enable" | "disable" | "start" | "stop" | "restart" | "reset-failed";

/** System unit (by the few sudo rules) or unit of the user's own manager. */
export class SystemdService implements Service {
  readonly flavour: Flavour;
  readonly wantedText: string;
  private readonly host: Host;
  private readonly become: Become;
  private readonly unit: string;
  private readonly path: string;
  private readonly system: boolean;
  private readonly stopMs: number;

  private readonly former: SystemdService | null;

  constructor(
    host: Host,
    become: Become,
    spec: ServiceSpec,
    flavour: Flavour,
    path: string,
    former: SystemdService | null = null,
  ) {
    this.former = former;
    this.flavour = flavour;
    this.host = host;
    this.become = become;
    this.path = path;
    this.system = flavour === "systemd";
    this.stopMs = spec.stopSeconds * 1000;
    this.unit = `${spec.name}.service`;
    this.wantedText = renderSystemdUnit({ ...spec, home: host.home, ...(this.system ? { user: host.user } : {}) });
  }

  async state(): Promise<ServiceState & { readonly stale: boolean }> {
    const [show, text] = await Promise.all([
      this.ask(["show", "-p", "ActiveState,UnitFileState,NeedDaemonReload", this.unit]),
      readText(this.path),
    ]);
    return {
      active: /^ActiveState=(active|activating|reloading)$/m.test(show.stdout),
      enabled: /^UnitFileState=enabled$/m.test(show.stdout),
      stale: /^NeedDaemonReload=yes$/m.test(show.stdout),
      text,
    };
  }

  async install(): Promise<boolean> {
    await this.removeFormer();
    const before = await this.state();
    const changed = before.text !== this.wantedText;
    if (changed) await this.write();
    // Also after a kill between the writing and the reload.
    if (changed || before.stale) await this.act("daemon-reload");
    if (!before.enabled) await this.act("enable");
    return changed || before.stale;
  }

  private async write(): Promise<void> {
    const { host, become, path, wantedText } = this;
    if (this.system) {
      await privileged(host, become, ["install", "-m", "0644", "/dev/stdin", path], { input: wantedText });
      return;
    }
    await mkdir(dirname(path), { recursive: true });
    await writeAtomic(path, wantedText, 0o644);
  }

  async start(): Promise<void> {
    await this.act("start");
  }

  async restart(): Promise<void> {
    await this.act("restart");
  }

  async pid(): Promise<number | null> {
    const { stdout } = await this.ask(["show", "-p", "MainPID", "--value", this.unit]);
    return Number(stdout.trim()) || null;
  }

  async stop(): Promise<void> {
    if ((await this.state()).active) await this.act("stop");
  }

  private async removeFormer(): Promise<void> {
    if (this.former !== null && (await readText(this.former.path)) !== null) await this.former.remove();
  }

  async remove(): Promise<void> {
    await this.removeFormer();
    const before = await this.state();
    if (before.active) await this.act("stop");
    if (before.enabled) await this.act("disable");
    if (before.text === null) return;
    if (this.system) await privileged(this.host, this.become, ["rm", "-f", this.path]);
    else {
      await rm(this.path, { force: true });
      await removeEmpty(join(dirname(this.path), "default.target.wants"), this.host.home);
    }
    await this.act("daemon-reload");
    // Fails when there is nothing to reset.
    await this.act("reset-failed").catch(() => {});
  }

  private async act(verb: Verb): Promise<void> {
    const words = verb === "daemon-reload" ? [verb] : [verb, this.unit];
    // A stop may take as long as the unit allows.
    const timeoutMs = this.stopMs + 60_000;
    if (this.system) return await privileged(this.host, this.become, ["systemctl", ...words], { timeoutMs });
    const outcome = await this.ask(words, timeoutMs);
    if (outcome.code === 0) return;
    throw new HostFailure(
      "service_failed",
      `systemctl --user ${words.join(" ")}: ${lastLine(outcome.stderr)}`,
      `look at \`journalctl --user -u ${this.unit}\` on the host`,
    );
  }

  private async ask(words: readonly string[], timeoutMs = 20_000): Promise<Outcome> {
    const scope = this.system ? [] : ["--user"];
    return await run(this.host, "systemctl", [...scope, ...words], {
      timeoutMs,
      env: { XDG_RUNTIME_DIR: `/run/user/${this.host.uid}` },
    });
  }
}

/** Upwards, the folders that nothing is left in. */
async function removeEmpty(folder: string, upTo: string): Promise<void> {
  for (let at = folder; at !== upTo && at.startsWith(upTo); at = dirname(at)) {
    const there = await rmdir(at).then(
      () => false,
      (error: unknown) => errno(error) !== "ENOENT",
    );
    if (there) return;
  }
}
