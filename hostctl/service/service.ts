/** One service in four flavours; which one a host has follows from `become` and from what runs there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import {
  launchdLabel,
  proxyNodeOptions,
  services,
  supervisorNodeOptions,
  systemdUnitFolder,
} from "../../infra/spec/host-layout.ts";
import { readText } from "../atomic-file.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { DetachedService } from "./detached.ts";
import { LaunchdService, launchdFile } from "./launchd.ts";
import { SystemdService } from "./systemd.ts";

export type ServiceName = (typeof services)[keyof typeof services];

export type Flavour = "systemd" | "systemd-user" | "launchd" | "detached";

export interface ServiceState {
  readonly active: boolean;
  readonly enabled: boolean;
  /** Text of the file on disk; null where the flavour has none or it is absent. */
  readonly text: string | null;
}

export interface Service {
  readonly flavour: Flavour;
  state(): Promise<ServiceState>;
  /** The text that `install` would write; null where the flavour has none. */
  readonly wantedText: string | null;
  /** Writes the text if it differs, enables for the next boot. True when the text changed. */
  install(): Promise<boolean>;
  start(): Promise<void>;
  restart(): Promise<void>;
  /** Of the main process; null when it does not run. */
  pid(): Promise<number | null>;
  /** Returns when no process of it is left. */
  stop(): Promise<void>;
  /** Stops, disables and leaves no file. */
  remove(): Promise<void>;
}

export interface ServiceSpec {
  readonly name: ServiceName;
  readonly description: string;
  readonly command: readonly string[];
  readonly notify: boolean;
  readonly mounts: readonly string[];
  readonly stopSeconds: number;
  /** SIGHUP to the main process puts new program and configuration to work, without a gap. */
  readonly reloads: boolean;
  /** Command lines that root runs before each start, where the flavour can; their failure does not matter. */
  readonly rootFirst: readonly (readonly string[])[];
}

export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly become: Become;
  readonly ownHome: boolean;
  readonly systemd: boolean;
  readonly userManager: boolean;
}

/** Pure. Service managers know only the account's own home, so a HOME of its own (a demo, a second instance) gets a detached process. */
export function chooseFlavour(around: Surroundings): Flavour {
  if (!around.ownHome) return "detached";
  if (around.platform === "darwin") return "launchd";
  if (around.systemd && around.become === "sudo") return "systemd";
  return around.systemd && around.userManager ? "systemd-user" : "detached";
}

export function serviceOn(host: Host, become: Become, spec: ServiceSpec): Service {
  const flavour = chooseFlavour({
    platform: host.platform,
    become,
    ownHome: host.ownHome,
    systemd: existsSync("/run/systemd/system"),
    userManager: existsSync(`/run/user/${host.uid}/systemd/private`),
  });
  if (flavour === "detached") return new DetachedService(host, spec);
  if (flavour === "launchd") return new LaunchdService(host, become, spec);
  return systemdService(host, become, spec, flavour);
}

/**
 * With `become: none` nothing of ours may remove a service of the system that root wrote while the spec said `become: sudo`; next to it a second
 * one would contend for the same daemon and port.
 */
export async function refuseSystemUnit(
  host: Host,
  become: Become,
  name: ServiceName,
  folder: string = systemdUnitFolder,
): Promise<void> {
  if (become === "sudo" || !host.ownHome) return;
  const mac = host.platform === "darwin";
  const file = mac ? launchdFile(host, "sudo", name) : join(folder, `${name}.service`);
  const owner = mac ? `<string>${host.user}</string>` : `User=${host.user}`;
  const text = await readText(file);
  if (text === null || !text.split("\n").some((line) => line.trim() === owner)) return;
  const byHand = mac
    ? `launchctl bootout system/${launchdLabel(name)}; rm ${file}`
    : `systemctl disable --now ${name}.service; rm ${file}; systemctl daemon-reload`;
  throw new HostFailure(
    "privilege_missing",
    `${file} is there from when the spec said become: sudo, and become: none may not remove it`,
    `run \`pulumi destroy\` with become: sudo first, or as root on the host: ${byHand}`,
  );
}

function systemdService(host: Host, become: Become, spec: ServiceSpec, flavour: Flavour): SystemdService {
  const folder = flavour === "systemd" ? systemdUnitFolder : join(host.home, ".config", "systemd", "user");
  const path = join(folder, `${spec.name}.service`);
  // From when the spec said `become: none`; the two would fight for one daemon and one port.
  const former = flavour === "systemd" ? systemdService(host, "none", spec, "systemd-user") : null;
  return new SystemdService(host, become, spec, flavour, path, former);
}

const nvidiaModprobe = "/usr/bin/nvidia-modprobe";

export function supervisorService(host: Host, become: Become, mounts: readonly string[] = []): Service {
  const [node, program] = programOf(host, "hostctl");
  return serviceOn(host, become, {
    name: services.supervisor,
    description: "lmstack supervisor of LM Studio",
    command: [node, ...(program === host.program.hostctl ? supervisorNodeOptions : []), program, "supervise"],
    notify: existsSync("/usr/bin/systemd-notify"),
    mounts,
    stopSeconds: 15,
    reloads: false,
    // CUDA's own devices appear when somebody asks the setuid helper, which the unit's hardening forbids.
    rootFirst: existsSync(nvidiaModprobe) ? [[nvidiaModprobe, "-c=0", "-u"]] : [],
  });
}

export function proxyService(host: Host, become: Become, drainSeconds: number): Service {
  const [node, program] = programOf(host, "proxy");
  return serviceOn(host, become, {
    name: services.proxy,
    description: "lmstack no-think proxy",
    // In every flavour a parent holds the socket, which outlives each serving process: a replacement refuses nobody, and needs no service
    // manager, no second unit and no right of root. The service itself is restarted only after a crash.
    command: [node, ...proxyNodeOptions, program, "hold", "--config", join(host.paths.proxy, "proxy.json")],
    notify: false,
    mounts: [],
    stopSeconds: Math.ceil(drainSeconds) + 10,
    reloads: true,
    rootFirst: [],
  });
}

/** From the uploaded runtime; else what runs now, when hostctl is used without one. */
function programOf(host: Host, which: "hostctl" | "proxy"): [node: string, program: string] {
  if (existsSync(host.program[which])) return [host.program.node, host.program[which]];
  return [process.execPath, which === "hostctl" ? (process.argv[1] ?? "") : host.program.proxy];
}
