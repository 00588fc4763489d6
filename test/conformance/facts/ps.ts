/** `lms ps --json`. */
import type { Scratch } from "../scratch.ts";

interface Loaded {
  readonly identifier: string;
  readonly path: string;
  readonly contextLength: number;
  readonly parallel: number | null;
  readonly ttlMs: number | null;
  readonly queued: number;
  readonly status: string;
}

export const ps = async (scratch: Scratch): Promise<Loaded[]> => await scratch.json("ps");
export const only = async (scratch: Scratch): Promise<Loaded> => (await ps(scratch))[0] as Loaded;
