/** SIGKILL for a running `pulumi`: alone, or with its language host and plugins, which live in process groups of their own. */
import { readdir, readFile } from "node:fs/promises";

/** The process and everything that descends from it, parents first. */
export async function processTree(root: number): Promise<readonly number[]> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    // The command's name may hold spaces and brackets, so the fields are counted from its closing bracket.
    const stat = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

export type Victims = "cli" | "all";

export async function kill(pid: number, victims: Victims): Promise<void> {
  const pids = victims === "cli" ? [pid] : await processTree(pid);
  for (const victim of pids) {
    try {
      process.kill(victim, "SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

/** Deterministic numbers in [0, 1), so that a run can be repeated by its seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
