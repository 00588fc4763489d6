/**
 * An answer that takes several requests upstream: the model searched the web, the proxy looks for it, and the same answer goes on. The client sees one
 * answer with one id, streamed or whole.
 */
import type { UpstreamRequest } from "../../relay/work.ts";

export interface SearchCall {
  /** Of the `web_search_call` item that the client is shown: `ws_` and 32 hexadecimal digits. */
  readonly id: string;
  /** Empty when the model gave none. */
  readonly query: string;
}

/** What is known of the round that has just ended. */
export interface Round {
  /** In the order of their calls, at least one. */
  readonly searches: readonly SearchCall[];
  /** It called tools of the client too, who has to answer them: no further round follows. */
  readonly callsClient: boolean;
  /** Items that LM Studio put out, as it put them out and in order, without the calls of searches. */
  readonly output: readonly Readonly<Record<string, unknown>>[];
}

export interface Rounds {
  /**
   * Runs the searches. `settle` shows the client that one is done; the rest are shown as failed at the end. Resolves with the request of the next
   * round, or with undefined when the answer ends with this one. Never rejects; `signal` aborts when the client is gone.
   */
  next(
    round: Round,
    settle: (id: string, status: "completed" | "failed") => void,
    signal: AbortSignal,
  ): Promise<UpstreamRequest | undefined>;
}
