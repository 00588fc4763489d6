/** Searches in the middle of one answer: what the model looked for goes back to it, until it has said what the client is to have. */
import type { Round, Rounds } from "../codex/answer/rounds.ts";
import type { UpstreamRequest } from "../relay/work.ts";
import { webSearchCall } from "./items.ts";
import type { SearchConfig, Searcher } from "./searcher.ts";
import type { SearchSettings } from "./tool.ts";

export interface SearchLoopParts {
  readonly searcher: Searcher;
  readonly config: SearchConfig;
  readonly settings: SearchSettings;
  readonly requestId: string;
  /** The client's request with more items at the end of its `input`, for LM Studio. */
  readonly request: (items: readonly unknown[]) => UpstreamRequest;
  /** A failure that nothing of SearXNG's explains; the answer ends with what there is. */
  readonly onDefect: (error: unknown) => void;
}

export class SearchLoop implements Rounds {
  readonly #parts: SearchLoopParts;
  /** What the answer has put out so far, as the client will send it back. */
  readonly #items: unknown[] = [];
  #calls = 0;

  constructor(parts: SearchLoopParts) {
    this.#parts = parts;
  }

  async next(...[round, settle, signal]: Parameters<Rounds["next"]>): Promise<UpstreamRequest | undefined> {
    try {
      return await this.#next(round, settle, signal);
    } catch (error) {
      this.#parts.onDefect(error);
      return undefined;
    }
  }

  async #next(
    { searches, callsClient, output }: Round,
    settle: (id: string, status: "completed" | "failed") => void,
    signal: AbortSignal,
  ): Promise<UpstreamRequest | undefined> {
    const { searcher, config, settings, requestId, request } = this.#parts;
    // A model that was told that there are no more searches, and goes on searching, would not stop.
    const last = this.#calls > config.perAnswer;
    this.#items.push(...output);
    await Promise.all(
      searches.map(async ({ id, query }) => {
        const status =
          this.#calls++ < config.perAnswer
            ? await searcher.run(id, query, { ...config, settings, requestId, signal })
            : searcher.refuse(id);
        if (!signal.aborted) settle(id, status);
      }),
    );
    if (signal.aborted || callsClient || last) return undefined;
    this.#items.push(...searches.map(({ id, query }) => webSearchCall(id, query, "completed")));
    return request(this.#items);
  }
}
