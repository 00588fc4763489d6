/** What a program and everything that it starts costs, by the kernel's own account (Linux). */
import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** Most resident memory of all processes together; what they share counts once. */
  readonly peakMegabytes: number;
  /** Pulumi programs that ran at that moment, at least one: each is a stack in flight. */
  readonly programs: number;
}

const lookEveryMs = 200;

/** While it runs this process starts nothing else: what its children have used is measured when they have ended. */
export async function measured<T>(work: () => Promise<T>): Promise<readonly [T, Usage]> {
  const before = childrenCpuSeconds();
  const started = performance.now();
  let peak = { peakMegabytes: 0, programs: 1 };
  const timer = setInterval(() => {
    const now = resident();
    if (now.peakMegabytes > peak.peakMegabytes) peak = now;
  }, lookEveryMs);
  try {
    const result = await work();
    const wallSeconds = (performance.now() - started) / 1000;
    return [result, { wallSeconds, cpuSeconds: childrenCpuSeconds() - before, ...peak }];
  } finally {
    clearInterval(timer);
  }
}

/** User and system time of all descendants that have ended and were waited for: fields 16 and 17, in hundredths of a second. */
function childrenCpuSeconds(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function resident(): Pick<Usage, "peakMegabytes" | "programs"> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(/^\d+$/.test(name) ? textOf(`/proc/${name}/stat`) : "")?.[1]);
    if (parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid: number): number[] => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  const all = below(process.pid);
  const kilobytes = all.reduce((sum, pid) => sum + proportionalKb(pid), 0);
  const programs = all.filter((pid) => textOf(`/proc/${pid}/cmdline`).includes("@pulumi/pulumi/cmd/run"));
  return { peakMegabytes: Math.round(kilobytes / 1024), programs: Math.max(1, programs.length) };
}

const proportionalKb = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);

/** Empty when the process has ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
