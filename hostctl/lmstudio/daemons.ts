/**
 * LM Studio's daemons of this home as the process table shows them. `lms` knows only the one that answers; one that hangs, or a second one,
 * is found here alone.
 */
import { readdirSync, readFileSync } from "node:fs";
import { run } from "../command.ts";
import type { Host } from "../host.ts";
import { endProcess, markOf } from "../process.ts";

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly words: readonly string[];
}

/** Pids, the oldest first. The processes that a daemon itself started are not told. */
export async function daemonsOf(host: Host): Promise<number[]> {
  return rootsOf(await rows(host));
}

/** Pure: the daemons among these, without their own children. */
export function rootsOf(all: readonly Row[]): number[] {
  const daemons = new Set(all.filter(({ words }) => isDaemon(words)).map(({ pid }) => pid));
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  return [...daemons].filter((pid) => !ancestors(pid, parents).some((one) => daemons.has(one))).sort((a, b) => a - b);
}

/** Ends the daemon and whatever it started: engines that outlive it keep the card's memory. True when all of it is gone. */
export async function endDaemon(host: Host, pid: number, graceMs: number): Promise<boolean> {
  const all = await rows(host, true);
  const parents = new Map(all.map((row) => [row.pid, row.parent]));
  const children = all.filter((row) => ancestors(row.pid, parents).includes(pid)).map((row) => markOf(row.pid));
  const gone = await endProcess(markOf(pid), graceMs);
  const left = await Promise.all(children.map((mark) => endProcess(mark, 0)));
  return gone && left.every(Boolean);
}

/** `llmster`, as a program or as the script of a runtime, and not one of its short commands. */
function isDaemon(words: readonly string[]): boolean {
  const at = words.slice(0, 2).findIndex((word) => /(^|\/)llmster(\.m?js)?$/.test(word));
  return at >= 0 && !/^(bootstrap|upgrade|--version)$/.test(words[at + 1] ?? "");
}

function ancestors(pid: number, parents: ReadonlyMap<number, number>): number[] {
  const found: number[] = [];
  for (let at = parents.get(pid); at !== undefined && at > 1 && !found.includes(at); at = parents.get(at))
    found.push(at);
  return found;
}

/** Daemons of this home and their parents' pids; with `all`, every process of the host. */
async function rows(host: Host, all = false): Promise<Row[]> {
  if (host.platform !== "linux") return await rowsByPs(host);
  const found: Row[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = text(`/proc/${name}/cmdline`);
    if (!all && !line.includes("llmster")) continue;
    const words = line.split("\0").filter((word) => word !== "");
    if (!all && !isDaemon(words)) continue;
    // Another HOME is another LM Studio.
    if (isDaemon(words) && !text(`/proc/${name}/environ`).split("\0").includes(`HOME=${host.home}`)) continue;
    const stat = text(`/proc/${name}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (stat !== "" && state !== "Z") found.push({ pid: Number(name), parent: Number(parent), words });
  }
  return found;
}

async function rowsByPs(host: Host): Promise<Row[]> {
  const { stdout } = await run(host, "ps", ["-axo", "uid=,pid=,ppid=,command="], { timeoutMs: 3000 });
  return parsePs(stdout, host.uid);
}

export function parsePs(output: string, uid: number): Row[] {
  return output.split("\n").flatMap((line) => {
    const [, owner, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (Number(owner) !== uid || command === undefined) return [];
    return [{ pid: Number(pid), parent: Number(parent), words: command.split(" ") }];
  });
}

/** Nothing there waits for a disk, and each read by a thread costs five times as much. */
function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
