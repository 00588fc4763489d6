/**
 * What LM Studio refuses of a Codex request, as an ordered list of passes. Each answers one refusal and leaves a request that does not have it
 * alone. They cut and set by the body's outline: of a long conversation only what goes or is joined is ever parsed.
 */
import { joinSystemMessages } from "../prompt/system-messages.ts";
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

const joinSystem: Pass = { name: "join-system-messages", apply: joinSystemMessages };

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
    stays.forEach((stay, index) => {
      if (!stay) rewriting.replace("tools", index, "");
    });
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

export const passes: readonly Pass[] = [joinSystem, dropForeignTools, dropTextWithoutFormat];

function isKnownType(type: unknown): boolean {
  return type === "function" || type === "mcp";
}

function toolName(tool: Record<string, unknown>): string {
  const type = typeof tool.type === "string" ? tool.type : "unknown";
  return typeof tool.name === "string" ? `${type}:${tool.name}` : type;
}
