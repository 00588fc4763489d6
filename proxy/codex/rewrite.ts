/** Runs the passes over a body and puts what they changed into the rewriting: only changed members are printed, unchanged list elements keep their bytes. */
import type { JsonBody } from "../splice/body.ts";
import type { Rewriting } from "../splice/rewriting.ts";
import type { Span } from "../splice/scan.ts";
import { type CodexRequest, isKnownType, type Notes, type Pass, passes } from "./passes.ts";

export interface CodexRewrite {
  readonly notes: Notes;
  /** Names of the passes that changed something. */
  readonly applied: readonly string[];
}

const members = ["instructions", "input", "tools", "tool_choice", "text"] as const;

const untouched: CodexRewrite = { notes: { droppedTools: [] }, applied: [] };

/** Throws `SyntaxError` when one of the members is not JSON inside. */
export function rewriteForLmStudio(rewriting: Rewriting, list: readonly Pass[] = passes): CodexRewrite {
  const { body } = rewriting;
  if (!mayNeed(body)) return untouched;
  const before: CodexRequest = Object.fromEntries(members.map((key) => [key, body.value(key)]));
  const notes: Notes = { droppedTools: [] };
  const applied: string[] = [];
  let request = before;
  for (const pass of list) {
    const next = pass.apply(request, notes);
    if (next !== request) applied.push(pass.name);
    request = next;
  }
  for (const key of members) {
    if (request[key] !== before[key]) rewriting.set(key, print(body, key, before[key], request[key]));
  }
  return { notes, applied };
}

/** Seen from the outline alone, so that a request with nothing to translate is not parsed. */
function mayNeed(body: JsonBody): boolean {
  return (
    body.find("text") !== undefined ||
    (body.find("input")?.elements?.some(({ role }) => role === "system" || role === "developer") ?? false) ||
    (body.find("tools")?.elements?.some(({ type }) => type === undefined || !isKnownType(type)) ?? false)
  );
}

function print(body: JsonBody, key: string, before: unknown, after: unknown): string | undefined {
  if (after === undefined) return undefined;
  const elements = body.find(key)?.elements;
  if (!Array.isArray(after) || !Array.isArray(before) || elements === undefined) return JSON.stringify(after);
  const origin = new Map<unknown, Span>();
  elements.forEach((element, index) => {
    if (typeof before[index] === "object" && before[index] !== null) origin.set(before[index], element);
  });
  const printed = after.map((element) => {
    const source = origin.get(element);
    return source === undefined ? JSON.stringify(element) : body.source(source);
  });
  return `[${printed.join(",")}]`;
}
