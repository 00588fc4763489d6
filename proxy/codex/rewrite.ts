/** Runs the passes over a body and turns what they changed into edits: only changed members are printed, unchanged list elements keep their bytes. */
import type { JsonBody } from "../splice/body.ts";
import { changeMembers, type Edit } from "../splice/edit.ts";
import { type Span, scanArray } from "../splice/scan.ts";
import { type CodexRequest, type Notes, type Pass, passes } from "./passes.ts";

export interface CodexRewrite {
  readonly edits: readonly Edit[];
  readonly notes: Notes;
  /** Names of the passes that changed something. */
  readonly applied: readonly string[];
}

const members = ["instructions", "input", "tools", "tool_choice", "text"] as const;

/** Throws `SyntaxError` when one of the members is not JSON inside. */
export function rewriteForLmStudio(body: JsonBody, list: readonly Pass[] = passes): CodexRewrite {
  const before: CodexRequest = Object.fromEntries(members.map((key) => [key, body.value(key)]));
  const notes: Notes = { droppedTools: [] };
  const applied: string[] = [];
  let request = before;
  for (const pass of list) {
    const next = pass.apply(request, notes);
    if (next !== request) applied.push(pass.name);
    request = next;
  }
  const changes = new Map<string, string | undefined>();
  for (const key of members) {
    if (request[key] !== before[key]) changes.set(key, print(body, key, before[key], request[key]));
  }
  return { edits: changeMembers(body.object, changes), notes, applied };
}

function print(body: JsonBody, key: string, before: unknown, after: unknown): string | undefined {
  if (after === undefined) return undefined;
  const span = body.span(key);
  if (!Array.isArray(after) || !Array.isArray(before) || span === undefined) return JSON.stringify(after);
  const origin = new Map<unknown, Span>();
  scanArray(body.bytes, span.start).elements.forEach((element, index) => {
    if (typeof before[index] === "object" && before[index] !== null) origin.set(before[index], element);
  });
  const printed = after.map((element) => {
    const source = origin.get(element);
    return source === undefined ? JSON.stringify(element) : body.bytes.toString("utf8", source.start, source.end);
  });
  return `[${printed.join(",")}]`;
}
