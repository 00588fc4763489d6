/** Runs the searches of all answers, remembers what they found, and tells only how each ended. */
import type { Logger } from "pino";
import { Agent } from "undici";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { SearchMemory } from "./memory.ts";
import { readResults } from "./results.ts";
import { askSearxng, SearchFailure, type SearchOutcome } from "./searxng.ts";
import type { SearchSettings } from "./tool.ts";

export type SearchConfig = NonNullable<ProxyConfig["search"]>;

export interface SearchRun extends SearchConfig {
  readonly settings: SearchSettings;
  readonly requestId: string;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

type Status = "completed" | "failed";

export class Searcher {
  readonly #memory = new SearchMemory();
  /** Its own: what SearXNG does must not take connections of LM Studio's. */
  readonly #agent = new Agent({ connect: { timeout: 5_000 } });
  readonly #log: Logger;
  readonly #onEnd: (outcome: SearchOutcome) => void;

  constructor(log: Logger, onEnd: (outcome: SearchOutcome) => void) {
    this.#log = log;
    this.#onEnd = onEnd;
  }

  /** What the search of a `web_search_call` item gave the model. */
  readonly recall = (id: string): string | undefined => this.#memory.recall(id);

  /** `id` is that of the `web_search_call` item. However it ends, the model is told in a sentence. */
  async run(id: string, query: string, run: SearchRun): Promise<Status> {
    try {
      if (query.trim() === "") throw new SearchFailure("refused", "The search had no query.");
      const found = readResults(await this.#ask(query, run), run.settings);
      if (found === undefined) throw new SearchFailure("unreadable", "The search failed: its answer has no results.");
      return this.#end(id, found.count > 0 ? "found" : "empty", found.text);
    } catch (error) {
      if (!(error instanceof SearchFailure)) throw error;
      const { outcome, message, cause } = error;
      if (outcome !== "abandoned") {
        const code = (cause as { readonly code?: unknown } | undefined)?.code;
        this.#log.warn({ requestId: run.requestId, searxng: new URL(run.searxng).origin, outcome, code }, message);
      }
      return this.#end(id, outcome, `${message} Go on without it, and say that you could not search.`);
    }
  }

  /** One more than an answer may make. */
  refuse(id: string): Status {
    const words = "No more searches can be made in this answer. Answer with what was found, and say what is missing.";
    return this.#end(id, "limit", words);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #ask(query: string, { settings, searxng, seconds, signal }: SearchRun): Promise<unknown> {
    // Most engines know `site:`; results are checked all the same.
    const sites = settings.domains.slice(0, 5).map((domain) => `site:${domain}`);
    const asked = [query, sites.join(" OR ")].join(" ").trim();
    return askSearxng(asked, { dispatcher: this.#agent, url: searxng, seconds, signal });
  }

  #end(id: string, outcome: SearchOutcome, output: string): Status {
    this.#memory.remember(id, output);
    this.#onEnd(outcome);
    return outcome === "found" || outcome === "empty" ? "completed" : "failed";
  }
}
