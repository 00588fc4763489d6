import { readFileSync } from "node:fs";
import { errno } from "./failure.ts";

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errno(error) === "EPERM";
  }
  // A zombie answers signals but is dead.
  return statFields(pid)?.[0] !== "Z";
}

/** A pid alone may have been given to somebody else; with its start time it may not. Empty where the system does not tell. */
export function identityOf(pid: number): string {
  return statFields(pid)?.[19] ?? "";
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

/** Empty when it is gone or not ours to see. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** Fields of /proc/PID/stat from the state on (index 0 = field 3); the name before may hold spaces and parentheses. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
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
