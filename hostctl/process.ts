import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { errno } from "./failure.ts";

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errno(error) === "EPERM";
  }
  // A zombie answers signals but is dead.
  return (hasProc ? statFields(pid)?.[0] : psOf(pid)?.state) !== "Z";
}

/** A pid alone may have been given to somebody else; with its start time it may not. Empty when it is gone. */
export function identityOf(pid: number): string {
  return (hasProc ? statFields(pid)?.[19] : psOf(pid)?.started) ?? "";
}

export interface ProcessMark {
  readonly pid: number;
  readonly started: string;
}

export function markOf(pid: number): ProcessMark {
  return { pid, started: identityOf(pid) };
}

export function isSame(mark: ProcessMark | null | undefined): mark is ProcessMark {
  return mark !== null && mark !== undefined && isAlive(mark.pid) && identityOf(mark.pid) === mark.started;
}

/** Words separated by spaces. Empty when it is gone or not ours to see. */
export function commandLine(pid: number): string {
  if (!hasProc) return psOf(pid)?.command ?? "";
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

const hasProc = existsSync("/proc/self/stat");

/** Fields of /proc/PID/stat from the state on (index 0 = field 3); the name before may hold spaces and parentheses. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** What `ps` says, where there is no /proc (macOS). `started` is of a second's precision. Null when it is gone. */
export function psOf(
  pid: number,
): { readonly state: string; readonly started: string; readonly command: string } | null {
  const words = ["-ww", "-o", "state=,lstart=,command=", "-p", String(pid)];
  const { status, stdout } = spawnSync("ps", words, {
    encoding: "utf8",
    timeout: 5000,
    env: { ...process.env, LC_ALL: "C" },
  });
  const [, state, started, command] = /^(\S+) +(\S+ +\S+ +\d+ +[\d:]+ +\d{4}) *(.*)$/m.exec(stdout ?? "") ?? [];
  if (status !== 0 || state === undefined || started === undefined) return null;
  return { state: state.charAt(0), started: started.replaceAll(/ +/g, " "), command: command ?? "" };
}

/** SIGTERM, then SIGKILL after `graceMs`. True when it is gone. */
export async function endProcess(mark: ProcessMark, graceMs: number): Promise<boolean> {
  for (const [signal, waitMs] of [
    ["SIGTERM", graceMs],
    ["SIGKILL", 2000],
  ] as const) {
    if (!isSame(mark)) return true;
    try {
      process.kill(mark.pid, signal);
    } catch {
      return !isSame(mark);
    }
    const deadline = Date.now() + waitMs;
    while (isSame(mark) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return !isSame(mark);
}
