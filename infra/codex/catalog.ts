/** Codex's model catalog: without an entry Codex warns and assumes a window of 272,000 tokens, so that it compacts too late. */

/** Replaces Codex's own prompt of 17 KB, which is written for other models and would be evaluated anew in each thread. */
const instructions = `You are a coding agent in a terminal. You work in the user's folder and finish the task that you are given.

- Look before you change: list and read files with exec_command, then edit.
- Make the smallest change that solves the task, in the style of the code around it.
- Run the tests or the program after a change, and read what they print.
- Do not undo work of others, do not commit unless asked, and never delete what you were not asked to delete.
- When a command fails, read the error and try another way; say so when you cannot go on.
- End with a short answer: what you did, and what the user should know.`;

export interface CatalogModel {
  readonly id: string;
  readonly contextLength: number;
}

/**
 * Every key that Codex insists on, and the window. `apply_patch_tool_type`, `tool_mode` and `use_responses_lite` stay unset: they bring tools of forms
 * that LM Studio refuses.
 */
export function renderCatalog(models: readonly CatalogModel[]): string {
  const entries = models.map(({ id, contextLength }, index) => ({
    slug: id,
    display_name: id,
    supported_reasoning_levels: [],
    shell_type: "unified_exec",
    visibility: "list",
    supported_in_api: true,
    priority: index + 1,
    support_verbosity: false,
    truncation_policy: { mode: "tokens", limit: 10_000 },
    experimental_supported_tools: [],
    input_modalities: ["text"],
    context_window: contextLength,
    max_context_window: contextLength,
    base_instructions: instructions,
  }));
  return `${JSON.stringify({ models: entries }, null, 2)}\n`;
}
