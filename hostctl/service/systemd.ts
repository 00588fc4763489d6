import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import { readText, writeAtomic } from "../atomic-file.ts";
import { lastLine, type Outcome, privileged, run } from "../command.ts";
import { HostFailure } from "../failure.ts";
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

  constructor(host: Host, become: Become, spec: ServiceSpec, flavour: Flavour, path: string) {
    this.flavour = flavour;
    this.host = host;
    this.become = become;
    this.path = path;
    this.system = flavour === "systemd";
    this.unit = `${spec.name}.service`;
    this.wantedText = renderSystemdUnit({ ...spec, home: host.home, ...(this.system ? { user: host.user } : {}) });
  }

  async state(): Promise<ServiceState> {
    const [show, text] = await Promise.all([
      this.ask("show", "-p", "ActiveState", "-p", "UnitFileState", this.unit),
      readText(this.path),
    ]);
    return {
      active: /^ActiveState=(active|activating|reloading)$/m.test(show.stdout),
      enabled: /^UnitFileState=enabled$/m.test(show.stdout),
      text,
    };
  }

  async install(): Promise<boolean> {
    const before = await this.state();
    const changed = before.text !== this.wantedText;
    if (changed) {
      if (this.system)
        await privileged(this.host, this.become, ["install", "-m", "0644", "/dev/stdin", this.path], this.wantedText);
      else {
        await mkdir(dirname(this.path), { recursive: true });
        await writeAtomic(this.path, this.wantedText, 0o644);
      }
      await this.act("daemon-reload");
    }
    if (!before.enabled) await this.act("enable");
    return changed;
  }

  async start(): Promise<void> {
    await this.act("start");
  }

  async restart(): Promise<void> {
    await this.act("restart");
  }

  async stop(): Promise<void> {
    if ((await this.state()).active) await this.act("stop");
  }

  async remove(): Promise<void> {
    const before = await this.state();
    if (before.active) await this.act("stop");
    if (before.enabled) await this.act("disable");
    if (before.text === null) return;
    if (this.system) await privileged(this.host, this.become, ["rm", "-f", this.path]);
    else await rm(this.path, { force: true });
    await this.act("daemon-reload");
    // Fails when there is nothing to reset.
    await this.act("reset-failed").catch(() => {});
  }

  private async act(verb: Verb): Promise<void> {
    const words = verb === "daemon-reload" ? [verb] : [verb, this.unit];
    if (this.system) return await privileged(this.host, this.become, ["systemctl", ...words]);
    const outcome = await this.ask(...words);
    if (outcome.code === 0) return;
    throw new HostFailure(
      "service_failed",
      `systemctl --user ${words.join(" ")}: ${lastLine(outcome.stderr)}`,
      `look at \`journalctl --user -u ${this.unit}\` on the host`,
    );
  }

  private async ask(...words: string[]): Promise<Outcome> {
    const scope = this.system ? [] : ["--user"];
    return await run(this.host, "systemctl", [...scope, ...words], {
      timeoutMs: 60_000,
      env: { XDG_RUNTIME_DIR: `/run/user/${this.host.uid}` },
    });
  }
}
