/** What processes have used, by the kernel's own account (Linux). */
import { readdirSync, readFileSync } from "node:fs";
import { familyOf } from "./children.ts";

/** `/proc` counts in hundredths of a second on every Linux that Node runs on. */
const tickMs = 10;

/** CPU milliseconds, user and system, of a process with its threads and of everything that descends from it. */
export function cpuMs(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + ownCpuMs(member), 0);
}

/**
 * `stat` also knows of threads that have ended, but counts in ticks, a few of which are all that a fast peer needs for a round; `schedstat`
 * counts the threads that live, in nanoseconds. Both begin at the start of the process, so the larger one is the better one.
 */
function ownCpuMs(pid: number): number {
  const stat = readProc(pid, "stat");
  // The name may hold spaces and brackets; what follows it is fixed. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  return Math.max(ticks * tickMs, threadsCpuMs(pid));
}

/** Of the threads that live: fine enough for a single request, as long as no thread ends meanwhile. */
export function threadsCpuMs(pid: number): number {
  const nanoseconds = threadsOf(pid).reduce(
    (sum, thread) => sum + Number(readProc(pid, `task/${thread}/schedstat`).split(" ")[0]),
    0,
  );
  return nanoseconds / 1e6;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Resident kilobytes of a process and everything that descends from it. */
export function residentKb(pid: number): number {
  return familyOf(pid).reduce(
    (sum, member) => sum + Number(/VmRSS:\s+(\d+)/.exec(readProc(member, "status"))?.[1] ?? 0),
    0,
  );
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
