/** What stops a Mac that nobody sits at: facts in, findings out. Sources: the tools' manual pages, Apple's TN3179 (local network privacy). */
import type { DoctorDocument, Finding } from "../../infra/spec/host-documents.ts";
import { isLoopback } from "../listeners.ts";
import { oldestMacos } from "../lmstudio/prerequisites.ts";

/** Null is what could not be asked or read. */
export interface MacFacts {
  readonly user: string;
  /** Real path of the node that the services run. */
  readonly node: string;
  readonly systemVersion: string | null;
  readonly fileVault: boolean | null;
  /** Of `pmset -g`, by name, as far as numbers; empty when it gave none. */
  readonly power: Readonly<Record<string, number>>;
  readonly memoryBytes: number | null;
  /** 0: the system's own default. */
  readonly wiredLimitMb: number | null;
  /** 0 off, 1 on, 2 every incoming connection is blocked. */
  readonly firewall: number | null;
  readonly firewallApps: ReadonlyMap<string, "allow" | "block">;
  readonly autoLoginUser: string | null;
  readonly models: readonly { readonly path: string; readonly bytes: number | null }[];
}

export function macFindings(facts: MacFacts, document: DoctorDocument): Finding[] {
  return [
    systemVersion(facts),
    fileVault(facts),
    ...(document.become === "none" ? [login(facts)] : []),
    ...power(facts),
    ...volumes(facts),
    wiredMemory(facts),
    firewall(facts, document),
    ...(document.become === "none" ? [localNetwork(facts)] : []),
  ];
}

const major = (version: string): number => Number.parseInt(version, 10);

function systemVersion({ systemVersion: version }: MacFacts): Finding {
  const check = "macos";
  if (version === null) return unknown(check, "sw_vers gave no version of macOS");
  if (major(version) >= major(oldestMacos)) return ok(check, `macOS ${version}`);
  return problem(check, `macOS ${version}, but LM Studio needs macOS ${oldestMacos} or newer`, "softwareupdate --list");
}

function fileVault({ fileVault: on }: MacFacts): Finding {
  const check = "filevault";
  if (on === null) return unknown(check, "fdesetup did not say whether FileVault is on");
  if (!on) return ok(check, "FileVault is off: the Mac starts to the end without a password");
  return problem(
    check,
    "FileVault is on: after a power cut or an update the Mac waits for a password before anything runs, the network included",
    "sudo fdesetup disable (for one planned restart: sudo fdesetup authrestart)",
  );
}

/** Agents exist only in a session of their user. */
function login({ autoLoginUser, user }: MacFacts): Finding {
  const check = "auto-login";
  if (autoLoginUser === user) return ok(check, `${user} is logged in at boot`);
  const found = autoLoginUser === null ? "nobody is" : `${autoLoginUser} is, not ${user},`;
  return problem(
    check,
    `with become: none the services start when ${user} logs in, and ${found} logged in at boot`,
    `set connection.become: sudo, or System Settings, Users & Groups, Automatically log in as ${user}`,
  );
}

function power({ power: settings }: MacFacts): Finding[] {
  const { sleep, autorestart } = settings;
  const findings: Finding[] = [];
  if (sleep === undefined) findings.push(unknown("sleep", "pmset did not say when the Mac sleeps"));
  else if (sleep === 0) findings.push(ok("sleep", "the Mac never sleeps"));
  else
    findings.push(
      problem("sleep", `the Mac sleeps after ${sleep} minutes, and answers nobody then`, "sudo pmset -a sleep 0"),
    );
  // A laptop has no such setting.
  if (autorestart === 0)
    findings.push(warning("power-failure", "the Mac stays off after a power failure", "sudo pmset -a autorestart 1"));
  else if (autorestart !== undefined) findings.push(ok("power-failure", "the Mac starts again after a power failure"));
  return findings;
}

/** Folders of a home that macOS guards by privacy controls. */
const guardedFolder = /^\/Users\/[^/]+\/(Desktop|Documents|Downloads)\//;

function volumes({ models, node }: MacFacts): Finding[] {
  const access = `System Settings, Privacy & Security, Full Disk Access: add ${node}; or move the models to the internal disk`;
  return models.flatMap(({ path }) => {
    if (path.startsWith("/Volumes/"))
      return [
        warning(
          "model-volume",
          `${path} is on a volume that macOS mounts when somebody logs in and guards by privacy controls: a service may find it missing or may not read it`,
          `sudo defaults write /Library/Preferences/SystemConfiguration/autodiskmount AutomountDisksWithoutUserLogin -bool true; ${access}`,
        ),
      ];
    if (!guardedFolder.test(path)) return [];
    const words = `${path} is in a folder that macOS guards by privacy controls: a service may not read it`;
    return [problem("model-volume", words, access)];
  });
}

/** What Metal may use when nobody set it, as observed: two thirds of the memory up to 36 GiB, three quarters above. */
const defaultLimit = (memory: number): number => memory * (memory > 36 * 2 ** 30 ? 0.75 : 2 / 3);
/** For macOS itself. */
const reserve = 8 * 2 ** 30;
/** Context and buffers beside the weights. */
const overhead = 1.1;

function wiredMemory({ memoryBytes, wiredLimitMb, models }: MacFacts): Finding {
  const check = "gpu-memory";
  if (memoryBytes === null || wiredLimitMb === null)
    return unknown(check, "sysctl gave neither hw.memsize nor iogpu.wired_limit_mb");
  const limit = wiredLimitMb === 0 ? defaultLimit(memoryBytes) : wiredLimitMb * 2 ** 20;
  const needed = Math.floor(models.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0) * overhead);
  const found = `the GPU may use ${gib(limit)} of ${gib(memoryBytes)}${wiredLimitMb === 0 ? " (the default)" : ""}, the models need about ${gib(needed)}`;
  if (needed <= limit) {
    if (wiredLimitMb === 0 || limit <= memoryBytes - reserve) return ok(check, found);
    return warning(check, `${found}; that leaves macOS too little`, "sudo sysctl iogpu.wired_limit_mb=0");
  }
  if (needed > memoryBytes - reserve)
    return problem(check, `${found}: more than this Mac has`, "declare fewer models, or smaller quantizations");
  const wanted = Math.ceil(needed / 2 ** 20);
  return problem(
    check,
    `${found}; a limit set by hand is gone after a reboot`,
    `sudo sysctl iogpu.wired_limit_mb=${wanted}, and the same in a LaunchDaemon of your own`,
  );
}

const firewallTool = "sudo /usr/libexec/ApplicationFirewall/socketfilterfw";

function firewall({ firewall: state, firewallApps, node }: MacFacts, { listen }: DoctorDocument): Finding {
  const check = "firewall";
  if (isLoopback(listen.host) || listen.host === "localhost")
    return ok(check, `the proxy listens on ${listen.host}, which no firewall stops`);
  if (state === null) return unknown(check, "socketfilterfw did not say whether the application firewall is on");
  if (state === 0) return ok(check, "the application firewall is off");
  if (state === 2)
    return problem(
      check,
      `the application firewall blocks every incoming connection, those to port ${listen.port} too`,
      `${firewallTool} --setblockall off`,
    );
  const rule = firewallApps.get(node);
  if (rule === "allow") return ok(check, `the application firewall lets connections in to ${node}`);
  return problem(
    check,
    rule === "block"
      ? `the application firewall blocks connections to ${node}, which serves port ${listen.port}`
      : `the application firewall is on and has no rule for ${node}, which serves port ${listen.port}: it may ask on a screen that nobody looks at`,
    `${firewallTool} --add ${quoted(node)} --unblockapp ${quoted(node)}`,
  );
}

/** Loopback and incoming connections need no permission, and daemons have it; an agent that reaches into the network is asked about on the screen. */
function localNetwork({ systemVersion: version }: MacFacts): Finding {
  const check = "local-network";
  if (version === null || major(version) < 15) return ok(check, "this macOS has no local network privacy");
  return warning(
    check,
    "an agent may reach other hosts of the local network (models from a peer, proxy.search) only after somebody allowed it; a request over SSH proves nothing about it",
    "set connection.become: sudo, or System Settings, Privacy & Security, Local Network: allow node",
  );
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
const ok = (check: string, words: string): Finding => ({ check, verdict: "ok", words });
const unknown = (check: string, words: string): Finding => ({ check, verdict: "unknown", words });
const warning = (check: string, words: string, fix: string): Finding => ({ check, verdict: "warning", words, fix });
const problem = (check: string, words: string, fix: string): Finding => ({ check, verdict: "problem", words, fix });
