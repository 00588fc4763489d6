/**
 * What LM Studio refuses of a Codex request, as an ordered list of pure passes. Each answers one refusal and leaves a request that does
 * not have it alone (the very same object comes back), so that an untouched request is never printed anew.
 */

/** The members of a `/v1/responses` body that a pass may look at. Anything may be missing or of a wrong type: LM Studio judges that. */
export interface CodexRequest {
  readonly instructions?: unknown;
  readonly input?: unknown;
  readonly tools?: unknown;
  readonly tool_choice?: unknown;
  readonly text?: unknown;
}

export interface Notes {
  /** Tools that were left out, as the client named them. */
  readonly droppedTools: string[];
}

export interface Pass {
  readonly name: string;
  readonly apply: (request: CodexRequest, notes: Notes) => CodexRequest;
}

/** Chat templates of local models take one system text, at the front; Codex sends several developer messages. */
const joinSystemMessages: Pass = {
  name: "join-system-messages",
  apply(request) {
    if (!Array.isArray(request.input)) return request;
    const texts: string[] = [];
    const rest: unknown[] = [];
    for (const item of request.input) {
      const text = systemText(item);
      if (text === undefined) rest.push(item);
      else texts.push(text);
    }
    // A request of nothing but system messages stays: an empty list of items would be refused instead.
    if (texts.length === 0 || rest.length === 0) return request;
    const own = typeof request.instructions === "string" && request.instructions !== "" ? [request.instructions] : [];
    return { ...request, instructions: [...own, ...texts].join("\n\n"), input: rest };
  },
};

/** LM Studio's validation knows `function` and `mcp`; one tool of another type makes it refuse the whole request. */
const dropForeignTools: Pass = {
  name: "drop-foreign-tools",
  apply(request, notes) {
    if (!Array.isArray(request.tools)) return request;
    const kept = request.tools.filter((tool) => !isRecord(tool) || isKnownType(tool.type));
    if (kept.length === request.tools.length) return request;
    for (const tool of request.tools) if (!kept.includes(tool)) notes.droppedTools.push(toolName(tool));
    if (kept.length > 0) return { ...request, tools: kept, tool_choice: choiceAmong(request.tool_choice) };
    return { ...request, tools: undefined, tool_choice: undefined };
  },
};

/** `text` without `format` is refused with "text.format Required". */
const dropTextWithoutFormat: Pass = {
  name: "drop-text-without-format",
  apply(request) {
    if (!isRecord(request.text) || request.text.format !== undefined) return request;
    return { ...request, text: undefined };
  },
};

export const passes: readonly Pass[] = [joinSystemMessages, dropForeignTools, dropTextWithoutFormat];

/** The text of a system or developer message, undefined for any other item and for one that holds more than text. */
function systemText(item: unknown): string | undefined {
  if (!isRecord(item) || (item.role !== "system" && item.role !== "developer")) return undefined;
  if (item.type !== undefined && item.type !== "message") return undefined;
  if (typeof item.content === "string") return item.content;
  if (!Array.isArray(item.content)) return undefined;
  const texts = item.content.map((part) => (isRecord(part) && typeof part.text === "string" ? part.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join("\n\n");
}

/** A choice that forces a tool of a type that was left out cannot be kept. */
function choiceAmong(choice: unknown): unknown {
  return isRecord(choice) && !isKnownType(choice.type) ? undefined : choice;
}

export function isKnownType(type: unknown): boolean {
  return type === "function" || type === "mcp";
}

function toolName(tool: Record<string, unknown>): string {
  const type = typeof tool.type === "string" ? tool.type : "unknown";
  return typeof tool.name === "string" ? `${type}:${tool.name}` : type;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
