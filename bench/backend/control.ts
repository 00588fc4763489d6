/** What the stand-in is told, and what it tells: over the channel of its process, so that no peer has to pass anything on. */

/** How requests are answered from now on. */
export interface Mode {
  /** Tokens of a stream; 0 answers with one JSON document; -1 never answers. */
  readonly tokens: number;
  /** Milliseconds between two tokens; 0 is as fast as they are taken. */
  readonly gapMs: number;
  /** Tokens at once, before the first gap. */
  readonly burst: number;
  /** Tells of the arrival and the end of each request. */
  readonly watch: boolean;
}

export const atOnce: Mode = { tokens: 0, gapMs: 0, burst: 0, watch: false };

export type ToBackend = { readonly mode: Mode } | { readonly finish: string };

/** Times are of `microseconds()`; `id` is the request's `x-bench-id`. */
export type FromBackend =
  | { readonly port: number }
  | { readonly taken: true }
  | { readonly arrived: string; readonly at: number }
  | { readonly closed: string; readonly at: number };
