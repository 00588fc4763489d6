/**
 * What LM Studio refuses of a Codex request, as an ordered list of passes. Each answers one refusal and leaves a request that does not have it
 * alone. They cut and set by the body's outline: of a long conversation only what goes or is joined is ever parsed.
 */
import type { Edit } from "../splice/edit.ts";
import type { Element } from "../splice/outline.ts";
import type { Rewriting } from "../splice/rewriting.ts";

export interface Notes {
  /** Tools that were left out, as the client named them. */
  readonly droppedTools: string[];
}

export interface Pass {
  readonly name: string;
  /** False when there was nothing to do. Throws `SyntaxError` when a part that has to be read is not JSON inside. */
  readonly apply: (rewriting: Rewriting, notes: Notes) => boolean;
}

const openBrace = 0x7b;

/** Chat templates of local models take one system text, at the front; Codex sends several developer messages. */
const joinSystemMessages: Pass = {
  name: "join-system-messages",
  apply(rewriting) {
    const { body } = rewriting;
    const items = body.find("input")?.elements ?? [];
    const texts: string[] = [];
    const stays = items.map((item) => {
      const text = item.role === "system" || item.role === "developer" ? systemText(body.parse(item)) : undefined;
      if (text !== undefined) texts.push(text);
      return text === undefined;
    });
    // A request of nothing but system messages stays: an empty list of items would be refused instead.
    if (texts.length === 0 || texts.length === items.length) return false;
    const own = body.text("instructions");
    rewriting.set("instructions", JSON.stringify([...(own ? [own] : []), ...texts].join("\n\n")));
    rewriting.edit(...removals(items, stays));
    return true;
  },
};

/** LM Studio's validation knows `function` and `mcp`; one tool of another type makes it refuse the whole request. */
const dropForeignTools: Pass = {
  name: "drop-foreign-tools",
  apply(rewriting, notes) {
    const { body } = rewriting;
    const tools = body.find("tools")?.elements ?? [];
    const stays = tools.map((tool) => tool.first !== openBrace || isKnownType(tool.type));
    if (!stays.includes(false)) return false;
    tools.forEach((tool, index) => {
      if (!stays[index]) notes.droppedTools.push(toolName(body.parse(tool) as Record<string, unknown>));
    });
    if (!stays.includes(true)) {
      rewriting.set("tools", undefined);
      rewriting.set("tool_choice", undefined);
      return true;
    }
    rewriting.edit(...removals(tools, stays));
    // A choice that forces a tool of a type that was left out cannot be kept.
    const choice = body.find("tool_choice");
    if (choice?.first === openBrace && !isKnownType((body.parse(choice) as { type?: unknown }).type))
      rewriting.set("tool_choice", undefined);
    return true;
  },
};

/** `text` without `format` is refused with "text.format Required". */
const dropTextWithoutFormat: Pass = {
  name: "drop-text-without-format",
  apply(rewriting) {
    const text = rewriting.body.find("text");
    if (text?.members === undefined || text.members.some(({ key }) => key === "format")) return false;
    rewriting.set("text", undefined);
    return true;
  },
};

export const passes: readonly Pass[] = [joinSystemMessages, dropForeignTools, dropTextWithoutFormat];

/** As members of an object go: a run takes the comma before it along, the first run the one behind it. */
function removals(elements: readonly Element[], stays: readonly boolean[]): Edit[] {
  const edits: Edit[] = [];
  for (let from = 0; from < elements.length; from++) {
    if (stays[from]) continue;
    let to = from;
    while (to < elements.length && !stays[to]) to++;
    const first = elements[from] as Element;
    const last = elements[to - 1] as Element;
    const before = elements[from - 1];
    if (before === undefined) edits.push({ start: first.start, end: elements[to]?.start ?? last.end, text: "" });
    else edits.push({ start: before.end, end: last.end, text: "" });
    from = to;
  }
  return edits;
}

/** The text of a system or developer message, undefined for any other item and for one that holds more than text. */
function systemText(item: unknown): string | undefined {
  if (!isRecord(item)) return undefined;
  if (item.type !== undefined && item.type !== "message") return undefined;
  if (typeof item.content === "string") return item.content;
  if (!Array.isArray(item.content)) return undefined;
  const texts = item.content.map((part) => (isRecord(part) && typeof part.text === "string" ? part.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join("\n\n");
}

function isKnownType(type: unknown): boolean {
  return type === "function" || type === "mcp";
}

function toolName(tool: Record<string, unknown>): string {
  const type = typeof tool.type === "string" ? tool.type : "unknown";
  return typeof tool.name === "string" ? `${type}:${tool.name}` : type;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
