/** Every process that a run starts, ended by its id: at the end, at Ctrl-C, and when the run itself fails. */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { bound } from "./layout.ts";

export interface StartOptions {
  readonly core: number | undefined;
  readonly stdio?: StdioOptions;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

const running = new Set<ChildProcess>();
const patienceMs = 5_000;

export function startChild(command: readonly string[], { core, ...options }: StartOptions): ChildProcess {
  const [file, ...args] = bound(core, command);
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"], ...options });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Rejects when the program cannot be started or ends before `ready` settles; its last words are in the message. */
export async function whenReady<T>(child: ChildProcess, name: string, ready: Promise<T>): Promise<T> {
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-2_000);
  });
  const died = new Promise<never>((_, reject) => {
    child.once("error", (error) => reject(new Error(`${name} could not be started: ${error.message}`)));
    child.once("exit", (code, signal) => reject(new Error(`${name} ended with ${code ?? signal}: ${words.trim()}`)));
  });
  died.catch(() => {});
  return await Promise.race([ready, died]);
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const tree = familyOf(child.pid);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => killAll(tree), patienceMs);
  await ended;
  clearTimeout(timer);
}

export function endAllNow(): void {
  for (const { pid } of running) if (pid !== undefined) killAll(familyOf(pid));
}

/** Also at Ctrl-C, which ends the process without coming back; `cleanUp` runs when the last one is gone. */
export function endWithUs(cleanUp: () => void): void {
  process.once("exit", () => {
    endAllNow();
    cleanUp();
  });
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    // Not `once`: whoever started us may pass on a signal that we had already, and the second one would end us before our children.
    process.on(signal, () => process.exit(code));
  }
}

/** A process and all that descends from it. */
export function familyOf(pid: number): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return [pid];
  }
  return [
    pid,
    ...children
      .split(" ")
      .filter(Boolean)
      .flatMap((child) => familyOf(Number(child))),
  ];
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids.toReversed()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}
