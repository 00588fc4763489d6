/** What processes have used, by the kernel's own account (Linux). */
import { readFileSync } from "node:fs";
import { familyOf } from "./children.ts";

/** `/proc` counts in hundredths of a second on every Linux that Node runs on. */
const tickMs = 10;

/** CPU milliseconds, user and system, of a process with its threads and of everything that descends from it. */
export function cpuMs(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + ownCpuMs(member), 0);
}

function ownCpuMs(pid: number): number {
  const stat = readProc(pid, "stat");
  // The name may hold spaces and brackets; what follows it is fixed. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * tickMs;
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
