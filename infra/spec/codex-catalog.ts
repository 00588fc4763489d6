/**
 * Entries of Codex's model catalog. One builder makes those that the proxy serves at `/v1/models` and those of the file for clients without a key.
 * Without an entry Codex warns, assumes a window of 272,000 tokens, so that it compacts too late, and offers no apply_patch (facts: Codex 0.169.0).
 */
import { aliasEndings } from "./model-names.ts";

/** A model as far as it is known; what LM Studio alone can tell is left out in the file. */
export interface ServedModel {
  readonly id: string;
  readonly contextLength: number;
  readonly thinking: "off" | "on" | "client";
  readonly vision?: boolean | undefined;
  /** LM Studio's `capabilities.reasoning`. */
  readonly reasoning?: readonly string[] | undefined;
  readonly reasoningDefault?: string | undefined;
}

export interface CatalogEntry {
  readonly slug: string;
  readonly [key: string]: unknown;
}

/** Replaces Codex's own prompt of 17 KB, which is written for other models and would be evaluated anew in each thread. */
const instructions = `You are a coding agent in a terminal. You work in the user's folder and finish the task that you are given.

- Look before you change: list and read files with exec_command, then edit, with apply_patch where it is offered.
- Make the smallest change that solves the task, in the style of the code around it.
- Run the tests or the program after a change, and read what they print.
- Do not undo work of others, do not commit unless asked, and never delete what you were not asked to delete.
- When a command fails, read the error and try another way; say so when you cannot go on.
- End with a short answer: what you did, and what the user should know.`;

/**
 * The model under its own name and its aliases. Bytes of an entry depend on the model alone, not on its place in a list.
 * `tool_mode` and `use_responses_lite` stay unset: they bring tools that local models do badly with.
 * @param freeform offers apply_patch, which reaches LM Studio only when the proxy translates tools
 * @param taken names of models of their own, which are no alias
 */
export function catalogEntries(
  model: ServedModel,
  freeform: boolean,
  taken: (name: string) => boolean = () => false,
): CatalogEntry[] {
  const aliases = Object.entries(aliasEndings)
    .map(([ending, thinking]) => ({ ...model, id: model.id + ending, thinking }))
    .filter(({ id }) => !taken(id));
  return [entry(model, freeform, 1), ...aliases.map((alias) => entry(alias, freeform, 2))];
}

function entry(model: ServedModel, freeform: boolean, priority: number): CatalogEntry {
  const { id, contextLength, vision } = model;
  // What one tool's output may fill. Codex looks at the window only after an answer; outputs and the next answer come on top of what it saw.
  const room = Math.min(10_000, Math.floor(contextLength / 8));
  return {
    slug: id,
    display_name: id,
    ...levels(model),
    shell_type: "unified_exec",
    visibility: "list",
    supported_in_api: true,
    priority,
    support_verbosity: false,
    ...(freeform ? { apply_patch_tool_type: "freeform" } : {}),
    truncation_policy: { mode: "tokens", limit: room },
    experimental_supported_tools: [],
    input_modalities: vision ? ["text", "image"] : ["text"],
    context_window: contextLength,
    // Caps what a user's configuration asks for.
    max_context_window: contextLength,
    // Codex's own limit is 90 % of the window, which in a small one leaves no room.
    auto_compact_token_limit: Math.min(Math.floor(contextLength * 0.9), contextLength - 2 * room),
    base_instructions: instructions,
  };
}

const words: Readonly<Record<string, string>> = {
  none: "No thinking",
  minimal: "Hardly any thinking",
  low: "Little thinking",
  medium: "Thinking",
  high: "Much thinking",
  xhigh: "As much thinking as it takes",
};

/**
 * LM Studio's options as Codex's efforts. Where the proxy keeps thinking off there is nothing to choose. A model that is merely switched on and off
 * thinks at "medium"; with no list of options Codex sends no effort, and the model does as it likes.
 */
function levels({ thinking, reasoning = [], reasoningDefault }: ServedModel): Record<string, unknown> {
  const none = { supported_reasoning_levels: [] };
  if (thinking === "off") return none;
  const effort = (option: string): string => (option === "off" ? "none" : option === "on" ? "medium" : option);
  const known = new Set(reasoning.map(effort));
  const efforts = Object.keys(words).filter((name) => known.has(name) && (thinking === "client" || name !== "none"));
  if (efforts.length < 2) return none;
  const usual = effort(reasoningDefault ?? "");
  return {
    ...(efforts.includes(usual) ? { default_reasoning_level: usual } : {}),
    supported_reasoning_levels: efforts.map((name) => ({ effort: name, description: words[name] })),
  };
}

/** `$CODEX_HOME/NAME.catalog.json`. */
export const renderCatalog = (entries: readonly CatalogEntry[]): string =>
  `${JSON.stringify({ models: entries }, null, 2)}\n`;
