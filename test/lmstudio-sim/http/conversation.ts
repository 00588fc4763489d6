/** Request bodies of each dialect -> one conversation, with the strictness of LM Studio on the way. */
import type { Message, Tool } from "../engine/engine.ts";
import type { Traps } from "../traps.ts";
import { RequestRefused } from "./refusal.ts";

type Body = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const invalid = (param: string, message = "Invalid", code = "invalid_string"): RequestRefused =>
  new RequestRefused(400, message, param, code);

export function chatMessages(body: Body, traps: Traps): Message[] {
  if (!Array.isArray(body.messages))
    throw new RequestRefused(400, "'messages' field is required", "messages", "missing_required_parameter");
  const messages = body.messages.map((message: unknown, index) => {
    if (!isObject(message)) throw invalid(`messages.${index}`, "Expected object", "invalid_type");
    return toMessage(message, `messages.${index}`);
  });
  return checkSystem(messages, traps);
}

export function responsesMessages(body: Body, traps: Traps): Message[] {
  const instructions: Message[] =
    typeof body.instructions === "string" ? [{ role: "system", text: body.instructions }] : [];
  if (typeof body.input === "string") return [...instructions, { role: "user", text: body.input }];
  if (!Array.isArray(body.input)) throw invalid("input", "Required", "invalid_type");
  const items = body.input.flatMap((item: unknown, index): Message[] => {
    if (!isObject(item)) throw invalid(`input.${index}`, "Expected object", "invalid_type");
    const type = item.type ?? "message";
    if (typeof type !== "string" || !traps.inputItemTypes.includes(type)) throw invalid(`input.${index}.type`);
    if (type === "function_call")
      return [{ role: "assistant", text: `${String(item.name)}(${String(item.arguments)})` }];
    if (type === "function_call_output") {
      if (typeof item.output !== "string" && !traps.outputParts)
        throw invalid(`input.${index}.output`, "Expected string", "invalid_type");
      return [{ role: "tool", text: textOf(item.output, `input.${index}.output`) }];
    }
    if (type !== "message") return [];
    return [toMessage(item, `input.${index}`)];
  });
  return checkSystem([...instructions, ...items], traps);
}

/** `text: {}` is refused: where there is `text` there must be a format. */
export function checkFields(body: Body, traps: Traps): void {
  const refused = traps.refusedFields.find((field) => field in body);
  if (refused !== undefined) throw invalid(refused, "Unrecognized key", "unrecognized_keys");
  if (isObject(body.text) && body.text.format === undefined) throw invalid("text.format", "Required", "invalid_type");
}

export function anthropicMessages(body: Body): Message[] {
  if (!Array.isArray(body.messages))
    throw new RequestRefused(400, "messages: Field required", "messages", "invalid_type");
  const system: Message[] = body.system === undefined ? [] : [{ role: "system", text: textOf(body.system, "system") }];
  const rest = body.messages.flatMap((message: unknown, index): Message[] => {
    if (!isObject(message)) throw invalid(`messages.${index}`, "Expected object", "invalid_type");
    // Headless LM Studio takes no system message here (lmstudio-bug-tracker #2204).
    if (message.role !== "user" && message.role !== "assistant")
      throw invalid(`messages.${index}.role`, "Invalid discriminator value. Expected 'user' | 'assistant'");
    const parts = Array.isArray(message.content) ? (message.content as Body[]) : [];
    const results = parts.filter((part) => part.type === "tool_result");
    const tools = results.map(
      (part): Message => ({ role: "tool", text: textOf(part.content ?? "", `messages.${index}.content`) }),
    );
    const spoken = Array.isArray(message.content)
      ? parts.filter((part) => part.type !== "tool_result")
      : message.content;
    const empty = Array.isArray(spoken) && spoken.length === 0;
    return empty ? tools : [...tools, toMessage({ ...message, content: spoken }, `messages.${index}`)];
  });
  return [...system, ...rest];
}

/** `/api/v1/chat`: text and image items of the user only; a history of the assistant's is refused. */
export function nativeMessages(body: Body): Message[] {
  const system: Message[] =
    typeof body.system_prompt === "string" ? [{ role: "system", text: body.system_prompt }] : [];
  if (typeof body.input === "string") return [...system, { role: "user", text: body.input }];
  if (!Array.isArray(body.input)) throw invalid("input", "Required", "invalid_type");
  const items = body.input.map((item: unknown, index): Message => {
    if (!isObject(item) || (item.type !== "text" && item.type !== "message" && item.type !== "image"))
      throw invalid(`input.${index}.type`, "Invalid discriminator value. Expected 'text' | 'image'");
    if (item.role !== undefined && item.role !== "user") throw invalid(`input.${index}.role`);
    return { role: "user", text: typeof item.content === "string" ? item.content : "" };
  });
  return [...system, ...items];
}

/** Flat function tools for `/v1/responses`. */
export function responsesTools(body: Body, traps: Traps): Tool[] {
  return tools(body, traps).map((tool, index) => {
    if (tool.type === "function" && typeof tool.name !== "string")
      throw invalid(`tools.${index}.name`, "Required", "invalid_type");
    checkParameters(tool.parameters, `tools.${index}.parameters`);
    return { name: String(tool.name ?? "") };
  });
}

/** Tools with a nested `function` for the chat endpoints. */
export function chatTools(body: Body, traps: Traps): Tool[] {
  return tools(body, traps).map((tool, index) => {
    const inner = tool.function;
    if (!isObject(inner) || typeof inner.name !== "string")
      throw invalid(`tools.${index}.function`, "Required", "invalid_type");
    checkParameters(inner.parameters, `tools.${index}.function.parameters`);
    return { name: inner.name };
  });
}

export const anthropicTools = (body: Body): Tool[] =>
  Array.isArray(body.tools) ? (body.tools as Body[]).map((tool) => ({ name: String(tool.name) })) : [];

export function toolChoice(body: Body, traps: Traps): string {
  const choice = body.tool_choice;
  if (typeof choice === "string") return choice;
  if (!isObject(choice)) return "auto";
  if (!traps.toolChoiceObjects)
    throw invalid(
      "tool_choice",
      "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
      "invalid_type",
    );
  if (typeof choice.name === "string") return choice.name;
  return isObject(choice.function) ? String(choice.function.name) : "auto";
}

function tools(body: Body, traps: Traps): Body[] {
  if (body.tools === undefined || body.tools === null) return [];
  if (!Array.isArray(body.tools)) throw invalid("tools", "Expected array", "invalid_type");
  return body.tools.map((tool: unknown, index) => {
    if (isObject(tool) && traps.toolTypes.includes(String(tool.type))) return tool;
    throw traps.toolTypeRefusal === "invalid"
      ? invalid(`tools.${index}.type`)
      : invalid(
          `tools.${index}.type`,
          "Invalid discriminator value. Expected 'function' | 'mcp'",
          "invalid_union_discriminator",
        );
  });
}

function checkParameters(parameters: unknown, param: string): void {
  if (parameters === undefined || parameters === null) return;
  if (!isObject(parameters) || parameters.type !== "object") {
    throw invalid(`${param}.type`, "Invalid discriminator value. Expected 'object'", "invalid_union_discriminator");
  }
}

function toMessage(message: Body, param: string): Message {
  const role = message.role === "developer" ? "system" : message.role;
  if (role !== "system" && role !== "user" && role !== "assistant" && role !== "tool")
    throw invalid(`${param}.role`, "Invalid role", "invalid_enum_value");
  const { content = "" } = message;
  const image = Array.isArray(content) && content.some((part: unknown) => isObject(part) && isImage(part));
  return { role, text: textOf(content ?? "", `${param}.content`), ...(image ? { image } : {}) };
}

const isImage = (part: Body): boolean => ["image_url", "input_image", "image"].includes(String(part.type));

const textParts = ["text", "input_text", "output_text", "refusal", "summary_text"];

function textOf(content: unknown, param: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw invalid(param, "Expected string or array", "invalid_type");
  return content
    .map((part: unknown, index) => {
      if (isObject(part) && textParts.includes(String(part.type))) return String(part.text ?? "");
      if (isObject(part) && (isImage(part) || part.type === "tool_use" || part.type === "thinking")) return "";
      throw invalid(`${param}.${index}.type`);
    })
    .join("\n");
}

/** Chat templates of the Qwen family accept one system message, and only as the first. */
function checkSystem(messages: Message[], traps: Traps): Message[] {
  if (traps.singleSystemMessage && messages.some((message, index) => message.role === "system" && index > 0)) {
    throw new RequestRefused(500, "System message must be at the beginning.", null, null);
  }
  return messages;
}
