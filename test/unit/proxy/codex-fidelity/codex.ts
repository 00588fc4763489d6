/** Codex 0.169.0 as a reader: which tools it has, what a call of one has to look like, and what it takes from an answer. As it was observed. */
import { type Json, listOf } from "./json.ts";

export interface CodexTool {
  readonly kind: "function" | "custom" | "tool_search";
  readonly name: string;
  readonly namespace?: string;
  readonly description: string;
}

/** Of every place where a request can bring tools, one of each name. */
export function toolsOf(body: Json): ReadonlyMap<string, CodexTool> {
  const lists = [
    body.tools,
    ...listOf(body.input)
      .filter(({ type }) => type === "additional_tools" || type === "tool_search_output")
      .map(({ tools }) => tools),
  ];
  const found = new Map<string, CodexTool>();
  for (const tool of lists.flatMap((list) => listOf(list).flatMap(leaves))) {
    const key = keyOf(tool);
    if (!found.has(key)) found.set(key, tool);
  }
  return found;
}

function leaves(tool: Json): CodexTool[] {
  if (tool.type === "namespace")
    return listOf(tool.tools)
      .flatMap(leaves)
      .map((leaf) => (tool.name === "functions" ? leaf : { ...leaf, namespace: String(tool.name) }));
  const description = String(tool.description ?? "");
  if (tool.type === "tool_search") return [{ kind: "tool_search", name: "", description }];
  if (tool.type !== "function" && tool.type !== "custom") return [];
  return [{ kind: tool.type, name: String(tool.name), description }];
}

/** The same request with a number in the description of each tool, and what a function in LM Studio's list stands for by that number. */
export function numbered(body: Json): { readonly asked: Json; readonly toolBehind: (told: Json) => CodexTool } {
  const tools: CodexTool[] = [];
  const mark = (tool: Json, namespace?: string): Json => {
    if (tool.type === "namespace")
      return { ...tool, tools: listOf(tool.tools).map((inner) => mark(inner, String(tool.name))) };
    const [leaf] = leaves(tool);
    if (leaf === undefined) return tool;
    tools.push(namespace === undefined || namespace === "functions" ? leaf : { ...leaf, namespace });
    return { ...tool, description: `[tool ${tools.length - 1}] ${leaf.description}` };
  };
  const marked = (list: unknown): Json[] => listOf(list).map((tool) => mark(tool));
  const input = listOf(body.input).map((item) => ("tools" in item ? { ...item, tools: marked(item.tools) } : item));
  const asked = { ...body, input, ...("tools" in body ? { tools: marked(body.tools) } : {}) };
  const toolBehind = ({ description }: Json): CodexTool => {
    const tool = tools[Number(/\[tool (\d+)\]/.exec(String(description))?.[1])];
    if (tool === undefined) throw new Error(`No tool of the client is described as ${description}`);
    return tool;
  };
  return { asked, toolBehind };
}

export const keyOf = ({ kind, name, namespace }: Omit<CodexTool, "description">): string =>
  JSON.stringify([kind, namespace ?? null, name]);

/** The tool that Codex runs for an item of an answer; undefined when it would run none, and say so or not. */
export function calledTool(item: Json, tools: ReadonlyMap<string, CodexTool>): CodexTool | undefined {
  if (typeof item.call_id !== "string") return undefined;
  const namespace =
    item.namespace === undefined || item.namespace === "functions" ? {} : { namespace: String(item.namespace) };
  const name = String(item.name);
  if (item.type === "function_call" && typeof item.arguments === "string")
    return tools.get(keyOf({ kind: "function", name, ...namespace }));
  if (item.type === "custom_tool_call" && typeof item.input === "string")
    return tools.get(keyOf({ kind: "custom", name, ...namespace }));
  if (item.type === "tool_search_call" && item.execution === "client" && isRecord(item.arguments))
    return tools.get(keyOf({ kind: "tool_search", name: "" }));
  return undefined;
}

/** What the tool is given. */
export const givenTo = (item: Json): unknown => item.input ?? item.arguments;

/** An event stream as Codex reads it: the items that are done, and the events for those who look closer. */
export function readStream(bytes: Buffer): { readonly events: readonly Json[]; readonly items: readonly Json[] } {
  const events = bytes
    .toString()
    .split("\n\n")
    .flatMap((event) => event.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => JSON.parse(line.slice(6)) as Json);
  return {
    events,
    items: events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item as Json),
  };
}

/** What is amiss in the order and the numbers of a stream, a line each. */
export function unsound(events: readonly Json[]): string[] {
  const found: string[] = [];
  const open = new Map<unknown, Json>();
  const done = new Set<unknown>();
  events.forEach((event, place) => {
    const { type, output_index: index } = event;
    if (event.sequence_number !== place) found.push(`${type} has number ${event.sequence_number} at ${place}`);
    if (index === undefined) return;
    if (type === "response.output_item.added") {
      if (open.has(index) || done.has(index)) found.push(`${index} begins twice`);
      open.set(index, event.item as Json);
      return;
    }
    const begun = open.get(index);
    if (begun === undefined) found.push(`${type} of ${index}, which has not begun`);
    if (event.item_id !== undefined && event.item_id !== begun?.id) found.push(`${type} of ${event.item_id}`);
    if (type !== "response.output_item.done") return;
    const item = event.item as Json;
    for (const key of ["type", "id", "call_id", "name", "namespace"])
      if (item[key] !== begun?.[key])
        found.push(`${key} of ${index} begins as ${begun?.[key]} and ends as ${item[key]}`);
    for (const told of events) {
      if (told.output_index !== index) continue;
      if (told.type === "response.custom_tool_call_input.done" && told.input !== item.input)
        found.push(`input of ${index}`);
      if (told.type === "response.function_call_arguments.done" && told.arguments !== item.arguments)
        found.push(`arguments of ${index}`);
    }
    open.delete(index);
    done.add(index);
  });
  if (open.size > 0) found.push(`${open.size} items without an end`);
  if (events.at(-1)?.type !== "response.completed") found.push(`ends with ${events.at(-1)?.type}`);
  return found;
}

const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
