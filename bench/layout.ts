/** Which core does what, the same for every peer. */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { findOnPath } from "../infra/setup/program.mjs";

export interface Layout {
  /** Load generator. */
  readonly load: number;
  /** LM Studio's stand-in. */
  readonly backend: number;
  /** The peer under test, with all its processes and threads. */
  readonly peer: number;
  readonly words: string;
}

/** Undefined where processes cannot be bound to cores. */
export function chooseLayout(cores = availableParallelism()): Layout | undefined {
  if (cores < 2 || findOnPath("taskset") === undefined) return undefined;
  if (cores === 2) {
    return {
      load: 0,
      backend: 0,
      peer: 1,
      words: "2 cores: load generator and stand-in on core 0, the peer under test alone on core 1",
    };
  }
  return {
    load: 0,
    backend: 1,
    peer: 2,
    words: `${cores} cores: load generator on core 0, stand-in on core 1, the peer under test alone on core 2`,
  };
}

/** A command line that runs on one core. */
export function bound(core: number | undefined, command: readonly string[]): readonly [string, ...string[]] {
  return (core === undefined ? command : ["taskset", "-c", String(core), ...command]) as [string, ...string[]];
}

/** A process that runs, with all its threads. */
export function bind(core: number | undefined, pid: number): void {
  if (core !== undefined) spawnSync("taskset", ["-a", "-c", "-p", String(core), String(pid)]);
}
