/** How a proof reaches an endpoint: the one thing that the host's proof and the operator's do each in its own way. */
import type { Chunk } from "./dialect.ts";

/** `body` null asks with GET. Rejects when no whole answer came within `withinMs`, in words that hold no key. */
export type Ask = (path: string, body: unknown, withinMs: number) => Promise<Reply>;

export interface Reply {
  readonly status: number;
  /** Lower-case names; only those that the proof reads have to be there. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly chunks: readonly Chunk[];
}

/** Thoughts that the proxy cut out of a whole answer. */
export const leaksHeader = "x-lmstack-leaks";
/** How the proxy switched thinking off for the request. */
export const strategyHeader = "x-lmstack-no-think";
