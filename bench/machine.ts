/** The state of the machine that a run is made on: without it no figure means anything. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly governor: string;
  /** Of the last minute, before the run. */
  readonly loadBefore: number;
  readonly node: string;
}

const quietLoad = 0.5;

export function readMachine(): Machine {
  return {
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    governor: readGovernor(),
    loadBefore: loadavg()[0] ?? 0,
    node: process.version,
  };
}

export function warningOf({ loadBefore }: Machine): string | undefined {
  if (loadBefore <= quietLoad) return undefined;
  return `the machine is not quiet: load ${loadBefore.toFixed(2)} in the last minute, expected at most ${quietLoad}. Figures of this run are no claim`;
}

function readGovernor(): string {
  try {
    return readFileSync("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "utf8").trim();
  } catch {
    return "none visible";
  }
}
