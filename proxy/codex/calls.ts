/** What the tools of a request were called by the client, and what LM Studio was told instead: the answer's way back. */
import type { SearchSettings } from "../search/tool.ts";

export type CallOrigin =
  | { readonly kind: "function"; readonly name: string; readonly namespace?: string }
  /** LM Studio sees a function with exactly one string argument, `input`. */
  | { readonly kind: "custom"; readonly name: string; readonly namespace?: string }
  /** Goes back as a `tool_search_call` item. */
  | { readonly kind: "tool-search" }
  /** Served by the proxy itself. */
  | { readonly kind: "web-search"; readonly settings: SearchSettings };

export interface CallTable {
  /** By the flat name that LM Studio was told. */
  readonly origins: ReadonlyMap<string, CallOrigin>;
  /** Every name stands for itself: calls in the answer need no change. */
  readonly plain: boolean;
}

/** The one argument of a function that stands for a custom tool. */
export const customArgument = "input";
