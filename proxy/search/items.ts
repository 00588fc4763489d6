/** A search as Codex sees it, one `web_search_call` item, and as LM Studio does: a function call and its output. */
import { createHash } from "node:crypto";
import { searchArgument } from "./tool.ts";

/** Codex 0.169 takes this in `response.output_item.added` and `.done`, and sends it back with id, status and action as they were. */
export type WebSearchCall = {
  readonly type: "web_search_call";
  /** `ws_…` */
  readonly id: string;
  readonly status: "in_progress" | "completed" | "failed";
  readonly action: { readonly type: "search"; readonly query: string };
};

export interface SearchPair {
  readonly call: {
    readonly type: "function_call";
    readonly call_id: string;
    readonly name: string;
    readonly arguments: string;
  };
  readonly output: { readonly type: "function_call_output"; readonly call_id: string; readonly output: string };
}

export function webSearchCall(id: string, query: string, status: WebSearchCall["status"]): WebSearchCall {
  return { type: "web_search_call", id, status, action: { type: "search", query } };
}

/** The same bytes in the round that searched and in all later turns, so that what LM Studio keeps of the prompt stays good. */
export function searchPair(name: string, id: string, query: string, output: string): SearchPair {
  const callId = `call_${id.replace(/^ws_/, "")}`;
  return {
    call: {
      type: "function_call",
      call_id: callId,
      name,
      arguments: JSON.stringify({ [searchArgument]: query }),
    },
    output: { type: "function_call_output", call_id: callId, output },
  };
}

const forgotten = "What this search found is no longer at hand. Search again if it matters.";

/** Of an item in the history, whoever searched: another process, or OpenAI in a conversation that went on here. `name` is the function's flat name. */
export function replayedSearch(
  item: Readonly<Record<string, unknown>>,
  name: string,
  recall: (id: string) => string | undefined,
): SearchPair {
  const action = (item.action ?? {}) as { readonly query?: unknown; readonly url?: unknown };
  const query = [action.query, action.url].find((value) => typeof value === "string") ?? "";
  const id = typeof item.id === "string" ? item.id : createHash("sha256").update(query).digest("hex").slice(0, 32);
  return searchPair(name, id, query, recall(id) ?? forgotten);
}
