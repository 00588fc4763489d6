/** Runs the passes over a request, each once and in order. */
import type { Rewriting } from "../splice/rewriting.ts";
import { type Notes, type Pass, passes } from "./passes.ts";

export interface CodexRewrite {
  readonly notes: Notes;
  /** Names of the passes that changed something. */
  readonly applied: readonly string[];
}

/** Throws `SyntaxError` when a part that has to be read is not JSON inside. */
export function rewriteForLmStudio(rewriting: Rewriting, list: readonly Pass[] = passes): CodexRewrite {
  const notes: Notes = { droppedTools: [] };
  const applied = list.filter((pass) => pass.apply(rewriting, notes)).map(({ name }) => name);
  return { notes, applied };
}
