/** What LM Studio is known to take of a `/v1/responses` request: one line a fact, with where it is known from. "BT" is lmstudio-ai/lmstudio-bug-tracker. */
import type { Value } from "../../splice/outline.ts";

interface RefusedField {
  readonly field: string;
  /** Only then; always when absent. */
  readonly when?: (value: Value) => boolean;
  readonly source: string;
}

export const refusedFields: readonly RefusedField[] = [
  {
    field: "text",
    when: ({ members }) => members !== undefined && !members.some(({ key }) => key === "format"),
    source: 'BT#1576: 400 text.format "Required"; Codex sends {"verbosity":…} alone, others an empty object',
  },
  {
    field: "include",
    source:
      "encrypted reasoning is OpenAI's own; LM Studio documents no such field (docs, developer/openai-compat/responses)",
  },
  { field: "client_metadata", source: "Codex's own, about turn and installation; in no documentation of the endpoint" },
  {
    field: "prompt_cache_key",
    source:
      "OpenAI's routing to caches; strict engines answer 400 (Stack-Cairn/LiveAgent#435), LM Studio finds its cache by the prompt itself",
  },
  { field: "prompt_cache_retention", source: "as prompt_cache_key" },
  { field: "service_tier", source: "OpenAI's prices; seen in a refused request of BT#1064" },
];

/** Tool types that are taken. BT#1383: `Expected 'function' | 'mcp'`; BT#1810, BT#1812, lms#537: 400 for `namespace`. */
export const takenToolTypes: ReadonlySet<unknown> = new Set(["function", "mcp"]);

/** Input items that are taken: others use these with success (facts of 2026-09); everything else is translated to them. An item without a type is a message. */
export const takenItemTypes: ReadonlySet<string | undefined> = new Set([
  undefined,
  "message",
  "function_call",
  "function_call_output",
]);

/**
 * Items that say nothing to a model. `reasoning`: no report of LM Studio taking one back, and templates of local models leave earlier thoughts out
 * anyway. The others steer OpenAI's own service.
 */
export const leftOutItemTypes: ReadonlySet<string> = new Set([
  "reasoning",
  "compaction_trigger",
  "configuration_update",
]);
