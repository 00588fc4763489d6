/**
 * Every call of LM Studio's `lms` and every rule about it. Exit codes lie in both directions, output goes to either stream, and most
 * commands start a daemon by themselves; so each function here proves its effect, is bounded in time, and those that would start a
 * daemon refuse when none runs. Logs are on stderr, JSON on stdout. Source: LM Studio's CLI, 2026-08.
 */
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { lastLine, type Outcome, type RunOptions, runWhenFree } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { pause } from "../pause.ts";
import { isAlive } from "../process.ts";
import { daemonsOf, endDaemon } from "./daemons.ts";
import { applyModelDefaults, type ModelDefaults } from "./model-defaults.ts";
import { lmsSurroundings } from "./surroundings.ts";

export interface DaemonStatus {
  readonly running: boolean;
  readonly pid: number | null;
  /** False when the desktop application owns it. */
  readonly isDaemon: boolean;
}

export interface LoadedInstance {
  readonly identifier: string;
  readonly contextLength: number | null;
  readonly parallel: number | null;
  /** Relative path in the models folder; null when only HTTP was asked, which does not tell. */
  readonly path: string | null;
  /** At work for somebody, as `lms ps` says; absent when only HTTP was asked. */
  readonly busy?: boolean;
}

export interface LoadRequest {
  readonly exactPath: string;
  readonly identifier: string;
  readonly contextLength: number;
  readonly parallel: number;
  readonly gpu: "max" | "off" | number;
  /** What there are no flags for; absent is none. */
  readonly defaults?: ModelDefaults;
}

export interface Engine {
  readonly name: string;
  readonly version: string;
}

const second = 1000;

export function lmsPath(host: Host): string {
  return join(host.paths.lmstudio, "bin", "lms");
}

export async function lmsExists(host: Host): Promise<boolean> {
  return await access(lmsPath(host), constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Every call has a limit, at which it is killed with what it started: `lms` waits for a daemon that does not answer. Throws `daemon_hangs`
 * then. "Text file busy" happens right after a daemon start.
 */
async function lms(host: Host, args: readonly string[], options: Partial<RunOptions> = {}): Promise<Outcome> {
  const limits = { timeoutMs: 20 * second, withChildren: true, bare: true, env: lmsSurroundings(host), ...options };
  const outcome = await runWhenFree(host, lmsPath(host), args, limits);
  if (!outcome.timedOut) return outcome;
  throw new HostFailure(
    "daemon_hangs",
    `\`lms ${args.slice(0, 2).join(" ")}\` did not end within ${limits.timeoutMs / second} s: LM Studio's daemon does not answer`,
    "look at ~/.lmstudio/server-logs on the host",
  );
}

/** A JSON document somewhere in stdout: spinner bytes may come before it. */
function json<T>(outcome: Outcome): T | null {
  const start = outcome.stdout.search(/[[{]/);
  if (start < 0) return null;
  try {
    return JSON.parse(outcome.stdout.slice(start)) as T;
  } catch {
    return null;
  }
}

function said(outcome: Outcome): string {
  const lines = `${outcome.stdout}\n${outcome.stderr}`.split("\n").map((line) => line.trim());
  return lines.find((line) => /^error/i.test(line)) ?? (lastLine(outcome.stderr) || `exit ${outcome.code}`);
}

/** Never starts a daemon; always exits 0, so only its JSON counts. */
export async function daemonStatus(host: Host, timeoutMs = 20 * second): Promise<DaemonStatus> {
  const none = { running: false, pid: null, isDaemon: true };
  if (!(await lmsExists(host))) return none;
  const answer = json<{ status?: string; pid?: number; isDaemon?: boolean }>(
    await lms(host, ["daemon", "status", "--json"], { timeoutMs }),
  );
  if (answer?.status !== "running") return none;
  return { running: true, pid: answer.pid ?? null, isDaemon: answer.isDaemon !== false };
}

/** Idempotent. The daemon stays in the control group of the caller. */
export async function daemonUp(host: Host): Promise<DaemonStatus & { readonly version: string | null }> {
  const outcome = await lms(host, ["daemon", "up", "--json"], { timeoutMs: 90 * second });
  const answer = json<{ status?: string; pid?: number; isDaemon?: boolean; version?: string }>(outcome);
  if (answer?.status === "running") {
    return {
      running: true,
      pid: answer.pid ?? null,
      isDaemon: answer.isDaemon !== false,
      version: answer.version ?? null,
    };
  }
  const status = await daemonStatus(host);
  if (status.running) return { ...status, version: null };
  throw new HostFailure(
    "daemon_failed",
    `LM Studio's daemon did not start: ${said(outcome)}`,
    "look at ~/.lmstudio/server-logs on the host; `lms daemon up` by hand shows the same",
  );
}

/** `daemon down` returns before the daemon is gone; this returns when it is, by signal if need be, also when it no longer answers. */
export async function daemonDown(host: Host, withinMs = 15 * second): Promise<void> {
  const before = await daemonStatus(host, withinMs).catch(() => null);
  if (before?.running === true && !before.isDaemon) {
    throw new HostFailure(
      "gui_owns_daemon",
      `LM Studio's desktop application runs on this host and owns the daemon (pid ${before.pid ?? "unknown"})`,
      "quit LM Studio on the host (also from the tray), then run up again",
    );
  }
  const deadline = Date.now() + withinMs;
  if (before?.running === true) {
    await lms(host, ["daemon", "down"], { timeoutMs: withinMs }).catch(() => null);
    while (before.pid !== null && isAlive(before.pid) && Date.now() < deadline) await pause(100);
    if (before.pid !== null) await endDaemon(host, before.pid, 0);
  }
  for (const pid of await daemonsOf(host)) await endDaemon(host, pid, Math.max(deadline - Date.now(), 1000));
}

/** Needs no daemon; always exits 0; `port` is absent when never started. Its `running` is a greeting, which is asked directly elsewhere. */
export async function serverStatus(host: Host): Promise<{ readonly running: boolean; readonly port: number | null }> {
  const answer = json<{ running?: boolean; port?: number }>(await lms(host, ["server", "status", "--json"]));
  return { running: answer?.running === true, port: answer?.port ?? null };
}

/** Port is sticky, bind and cors are not: port and bind are passed every time, cors is off by being left out. Exit 1 may be a false alarm: look. */
export async function serverStart(host: Host, port: number, bind = "127.0.0.1"): Promise<string> {
  await requireAnswer(host, "server start");
  const outcome = await lms(host, ["server", "start", "--port", String(port), "--bind", bind], {
    timeoutMs: 45 * second,
  });
  return said(outcome);
}

/** Exit 1 means "was not running": not an error here. */
export async function serverStop(host: Host): Promise<void> {
  await lms(host, ["server", "stop"], { timeoutMs: 10 * second });
}

export async function ps(host: Host): Promise<readonly LoadedInstance[]> {
  await requireDaemon(host, "ps");
  const rows = json<
    { identifier: string; contextLength?: number; parallel?: number | null; path?: string; status?: string }[]
  >(await lms(host, ["ps", "--json"]));
  return (rows ?? []).map((row) => ({
    identifier: row.identifier,
    contextLength: row.contextLength ?? null,
    parallel: row.parallel ?? null,
    path: row.path ?? null,
    busy: row.status !== undefined && row.status !== "idle",
  }));
}

/**
 * `--exact` compares with the path that `ls` shows; without it the key is a fuzzy match that may load another model. A file that was just
 * imported is not indexed at once, so "Model not found" is tried again. A second load of the same identifier makes `X:2`: the caller
 * looks before, this looks after.
 */
export async function load(
  host: Host,
  request: LoadRequest,
  options: Pick<RunOptions, "signal" | "onPid">,
): Promise<void> {
  const args = ["load", ...loadFlags(request), "--identifier", request.identifier];
  const deadline = Date.now() + 15 * second;
  for (;;) {
    await requireAnswer(host, "load");
    await applyModelDefaults(host, request.exactPath, request.defaults ?? {});
    const outcome = await lms(host, args, { timeoutMs: 1800 * second, ...options });
    const output = `${outcome.stdout}\n${outcome.stderr}`;
    if (outcome.code === 0 && !/^error/im.test(output)) return;
    if (/model not found/i.test(output) && Date.now() < deadline) {
      await pause(second);
      continue;
    }
    throw new HostFailure(
      "load_failed",
      `LM Studio did not load ${request.identifier} (${request.exactPath}, context ${request.contextLength}, parallel ${request.parallel}, gpu ${request.gpu}): ${said(outcome)}`,
      "if memory is short, lower load.contextLength or load.parallel",
    );
  }
}

function loadFlags({ exactPath, contextLength, parallel, gpu }: LoadRequest): string[] {
  const figures = ["--context-length", String(contextLength), "--parallel", String(parallel), "--gpu", String(gpu)];
  return ["--exact", exactPath, ...figures, "-y"];
}

/** What LM Studio says that a load would take: text on stderr, exit 0 whatever it says. */
export async function estimateLoad(host: Host, request: LoadRequest): Promise<string> {
  await requireDaemon(host, "load");
  await applyModelDefaults(host, request.exactPath, request.defaults ?? {});
  return (await lms(host, ["load", ...loadFlags(request), "--estimate-only"])).stderr;
}

/** An unknown identifier exits 0 as well; the caller looks again. */
export async function unload(host: Host, identifier: string): Promise<void> {
  await requireDaemon(host, "unload");
  await lms(host, ["unload", identifier], { timeoutMs: 60 * second });
}

/**
 * Selects the engine and proves it: `runtime ls` is a table (name@version, a tick when selected), `select` and `get` exit 0 without
 * effect, and a fresh CUDA host may have the CPU engine selected. True when the selection changed.
 */
export async function ensureEngine(host: Host, engine: Engine): Promise<boolean> {
  const wanted = `${engine.name}@${engine.version}`;
  const { installed: before, judged: all } = await surveyEngines(host);
  const judged = all.find((entry) => entry.name === engine.name && entry.version === engine.version);
  const status = judged?.compatibility?.status ?? "compatible";
  const others = before.map((entry) => entry.id).join(", ") || "none";
  if (status !== "compatible") {
    throw new HostFailure(
      "engine_incompatible",
      `engine ${wanted} does not fit this host: ${status}${judged?.compatibility?.message ? ` (${judged.compatibility.message})` : ""}; installed engines: ${others}`,
      "choose a fitting lmstudio.engine in the spec, or bring the GPU driver up to date",
    );
  }
  if (before.some((entry) => entry.id === wanted && entry.selected)) return false;
  if (!before.some((entry) => entry.id === wanted)) {
    throw new HostFailure(
      "engine_incompatible",
      `engine ${wanted} is not installed on this host; installed engines: ${others}`,
      `set lmstudio.engine to one of these, or run \`lms runtime get ${engine.name}\` on the host`,
    );
  }
  const outcome = await lms(host, ["runtime", "select", wanted]);
  const after = parseEngines((await lms(host, ["runtime", "ls"])).stdout);
  if (after.some((entry) => entry.id === wanted && entry.selected)) return true;
  throw new HostFailure(
    "engine_incompatible",
    `engine ${wanted} could not be selected: ${said(outcome)}`,
    "look at `lms runtime survey` on the host",
  );
}

export interface EngineSurvey {
  /** `name@version`, as `runtime ls` lists them. */
  readonly installed: readonly { readonly id: string; readonly selected: boolean }[];
  readonly judged: readonly (Engine & {
    readonly compatibility?: { readonly status?: string; readonly message?: string };
  })[];
}

export async function surveyEngines(host: Host): Promise<EngineSurvey> {
  await requireAnswer(host, "runtime");
  const installed = parseEngines((await lms(host, ["runtime", "ls"])).stdout);
  const survey = json<{ engines?: EngineSurvey["judged"] }>(
    await lms(host, ["runtime", "survey", "--json"], { timeoutMs: 60 * second }),
  );
  return { installed, judged: survey?.engines ?? [] };
}

export function parseEngines(table: string): { id: string; selected: boolean }[] {
  return table
    .split("\n")
    .map((line) => line.match(/^\s*(\S+@\S+)(.*)$/))
    .filter((match) => match !== null)
    .map((match) => ({ id: match[1] ?? "", selected: /[✓✔*]|\byes\b/i.test(match[2] ?? "") }));
}

/** For short calls, whose own limit finds a daemon that hangs: seen by its process, without a call of `lms` where that is enough. */
async function requireDaemon(host: Host, what: string): Promise<void> {
  // The desktop application's is known to `lms` alone.
  if ((await daemonsOf(host)).length === 0) await requireAnswer(host, what);
}

/** Most commands would wake a daemon outside of our control group; without one they are not called at all. */
async function requireAnswer(host: Host, what: string): Promise<void> {
  if ((await daemonStatus(host)).running) return;
  throw new HostFailure(
    "daemon_failed",
    `LM Studio's daemon is not running, so \`lms ${what}\` was not called`,
    "the supervisor starts it; run up again",
  );
}
