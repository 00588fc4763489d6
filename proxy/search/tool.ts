/** Codex's `web_search` tool, and the function that a model is offered in its place when the proxy searches itself. */

/** What a `web_search` tool asks for beyond a search. The searcher's place (`user_location`) is told to nobody. */
export interface SearchSettings {
  /** Only results of these hosts, and of those below them; none means all. */
  readonly domains: readonly string[];
  /** Of `search_context_size`: how many results the model gets. */
  readonly results: number;
}

const resultsBySize: Readonly<Record<string, number>> = { low: 4, medium: 8, high: 16 };

/**
 * Codex 0.169 sends `{type:"web_search", external_web_access, filters:{allowed_domains}, search_context_size, …}`. Undefined when the client allows
 * no access to the web: `web_search = "cached"`, its default, means what OpenAI keeps of it, and there is nothing of the kind here. "indexed"
 * (`indexed_web_access` beside the access) is served: nothing but a search engine is asked.
 */
export function searchSettings(tool: Readonly<Record<string, unknown>>): SearchSettings | undefined {
  if (tool.external_web_access === false) return undefined;
  const { allowed_domains: domains } = (tool.filters ?? {}) as { readonly allowed_domains?: unknown };
  return {
    domains: Array.isArray(domains) ? domains.filter((domain) => typeof domain === "string") : [],
    results: resultsBySize[String(tool.search_context_size)] ?? (resultsBySize.medium as number),
  };
}

/** The name it gets unless the client has a function of that name. */
export const searchName = "web_search";
/** The one argument of the function. */
export const searchArgument = "query";

/** For the `tools` of a request; `name` is the flat name. */
export function searchFunction(name: string) {
  return {
    type: "function",
    name,
    description:
      "Search the web. Returns titles, addresses and short excerpts of pages that match, best first. Use it for what may have changed since your training, and name the address of what you rely on.",
    parameters: {
      type: "object",
      properties: {
        [searchArgument]: { type: "string", description: "What to search for, as typed into a search engine" },
      },
      required: [searchArgument],
      additionalProperties: false,
    },
    strict: false,
  } as const;
}
