/**
 * LM Studio as strict as it is documented anywhere (facts: bug tracker 1383, 1576, 1810, 2298, 670), and a model in it that calls whatever it was
 * told of. Written from the facts alone: nothing here is the translation's own.
 */
import { type Json, listOf } from "./json.ts";

const legalName = /^[A-Za-z0-9_-]{1,64}$/;
/** Fields of a request that the endpoint is documented to take, or that clients are seen to send with success. */
const fields = new Set(
  "model input instructions stream tools tool_choice parallel_tool_calls reasoning store previous_response_id max_output_tokens temperature top_p text truncation metadata".split(
    " ",
  ),
);
const itemFields: Readonly<Record<string, readonly string[]>> = {
  message: ["type", "id", "role", "content", "status"],
  function_call: ["type", "id", "call_id", "name", "arguments", "status"],
  function_call_output: ["type", "id", "call_id", "output", "status"],
};
const partTypes: Readonly<Record<string, readonly string[]>> = {
  user: ["input_text", "input_image"],
  assistant: ["output_text", "refusal"],
  system: ["input_text"],
};

/** What is wrong with a request, a line each; empty when it is taken. */
export function complaints(body: Json, { images }: { readonly images: boolean }): string[] {
  const found: string[] = [];
  for (const key of Object.keys(body)) if (!fields.has(key)) found.push(`field ${key}`);
  if (body.text !== undefined && !("format" in (body.text as object))) found.push("text.format: Required");
  if (typeof body.tool_choice === "object" && body.tool_choice !== null) found.push("tool_choice: object");
  const names = new Set<string>();
  for (const tool of listOf(body.tools)) found.push(...aboutTool(tool, names));
  const calls = { made: new Set<unknown>(), open: new Set<unknown>() };
  for (const item of listOf(body.input)) found.push(...aboutItem(item, calls, images));
  if (listOf(body.input).filter(({ role }) => role === "system" || role === "developer").length > 0)
    found.push("a system message besides the instructions");
  return found;
}

function aboutTool(tool: Json, names: Set<string>): string[] {
  if (tool.type === "mcp") return [];
  if (tool.type !== "function") return [`tool type ${tool.type}`];
  const found: string[] = [];
  const name = String(tool.name);
  if (!legalName.test(name)) found.push(`tool name ${name}`);
  if (names.has(name)) found.push(`tool name twice: ${name}`);
  names.add(name);
  for (const key of Object.keys(tool))
    if (!["type", "name", "description", "parameters", "strict"].includes(key)) found.push(`tool field ${key}`);
  if ((tool.parameters as Json | undefined)?.type !== "object") found.push(`parameters of ${name}`);
  return found;
}

interface Calls {
  readonly made: Set<unknown>;
  /** Their output is still to come. */
  readonly open: Set<unknown>;
}

function aboutItem(item: Json, calls: Calls, images: boolean): string[] {
  const type = String(item.type ?? "message");
  const allowed = itemFields[type];
  if (allowed === undefined) return [`item type ${type}`];
  const found = Object.keys(item)
    .filter((key) => !allowed.includes(key))
    .map((key) => `${type}.${key}`);
  if (type === "message" && item.role === "user" && calls.open.size > 0)
    found.push("a user between a call and its output");
  if (type === "message") return [...found, ...aboutContent(item, images)];
  if (typeof item.call_id !== "string") found.push(`${type} without call_id`);
  if (type === "function_call") {
    calls.made.add(item.call_id);
    calls.open.add(item.call_id);
    if (!legalName.test(String(item.name))) found.push(`called name ${item.name}`);
    if (typeof item.arguments !== "string") found.push("arguments are no text");
    return found;
  }
  calls.open.delete(item.call_id);
  if (!calls.made.has(item.call_id)) found.push(`output of no call: ${item.call_id}`);
  if (typeof item.output !== "string") found.push("output is no text");
  return found;
}

function aboutContent({ role, content }: Json, images: boolean): string[] {
  const types = partTypes[String(role)];
  if (types === undefined) return [`role ${role}`];
  if (typeof content === "string") return [];
  if (!Array.isArray(content)) return ["content is no list"];
  return listOf(content)
    .filter(({ type }) => !types.includes(String(type)) || (type === "input_image" && !images))
    .map(({ type }) => `${role} part ${type}`);
}

/** What a model says; a call is of a tool by the name that it was told. */
export type Said =
  | { readonly kind: "text" | "reasoning"; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly args: string };

export interface Answer {
  /** As an event stream. */
  readonly stream: Buffer;
  /** As one document. */
  readonly whole: Buffer;
  /** Its items, as LM Studio has them. */
  readonly items: readonly Json[];
}

/** Arguments come whole, in `.done`; newer versions send pieces before it. */
export function answer(says: readonly Said[], argumentPieces: boolean): Answer {
  const events: Json[] = [];
  const say = (type: string, event: Json): void => {
    events.push({ type, ...event, sequence_number: events.length });
  };
  const head = { id: "resp_0123456789", object: "response", model: "m", error: null, tools: [] };
  const items = says.map(itemOf);
  const whole = {
    ...head,
    status: "completed",
    output: items,
    usage: {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 14,
    },
  };
  say("response.created", { response: { ...head, status: "in_progress", output: [] } });
  say("response.in_progress", { response: { ...head, status: "in_progress", output: [] } });
  items.forEach((item, output_index) => {
    const place = { item_id: item.id, output_index };
    if (item.type === "function_call") {
      const { name, arguments: args } = item;
      say("response.output_item.added", { output_index, item: { ...item, arguments: "", status: "in_progress" } });
      if (argumentPieces)
        for (const delta of String(args).match(/.{1,7}/gsu) ?? [])
          say("response.function_call_arguments.delta", { ...place, delta });
      say("response.function_call_arguments.done", { ...place, name, arguments: args });
    } else {
      const [part] = listOf(item.content) as [Json];
      const event = `response.${part.type}`;
      const at = { ...place, content_index: 0 };
      say("response.output_item.added", { output_index, item: { ...item, content: [], status: "in_progress" } });
      say("response.content_part.added", { ...at, part: { ...part, text: "" } });
      for (const delta of String(part.text).match(/.{1,7}/gsu) ?? []) say(`${event}.delta`, { ...at, delta });
      say(`${event}.done`, { ...at, text: part.text });
      say("response.content_part.done", { ...at, part });
    }
    say("response.output_item.done", { output_index, item });
  });
  say("response.completed", { response: whole });
  const stream = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
  return { stream: Buffer.from(stream), whole: Buffer.from(JSON.stringify(whole)), items };
}

function itemOf(said: Said, index: number): Json {
  const status = "completed";
  if (said.kind === "call") {
    const { name, args } = said;
    return { type: "function_call", id: `fc_${index}`, call_id: `call_${index}`, name, arguments: args, status };
  }
  const { kind, text } = said;
  if (kind === "reasoning")
    return { type: "reasoning", id: `rs_${index}`, summary: [], content: [{ type: "reasoning_text", text }], status };
  const content = [{ type: "output_text", text, annotations: [], logprobs: [] }];
  return { type: "message", id: `msg_${index}`, role: "assistant", status, content };
}
