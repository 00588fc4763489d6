/** Items of a conversation that LM Studio does not take, each as what it does take: messages, function calls and their output. */
import { replayedSearch } from "../../search/items.ts";
import { asText, isRecord, type Json } from "../../unknown-json.ts";
import { type CallOrigin, customArgument } from "../calls.ts";
import { leftOutItemTypes } from "./engine.ts";
import { originOf } from "./names.ts";

export interface ItemContext {
  readonly nameOf: (origin: CallOrigin) => string;
  /** False: the model takes text only. */
  readonly images: boolean | undefined;
  /** What a web search of an earlier turn found, by the id of its item. */
  readonly recall: (id: string) => string | undefined;
}

export interface TranslatedItem {
  /** JSON text of what takes its place; empty when nothing does. */
  readonly text: string;
  /** Of a tool's output: parts that LM Studio takes only in a message. */
  readonly images: readonly unknown[];
  /** The pass that did it. */
  readonly pass: string;
}

/** Of the items in another order nothing may be said here: what becomes of one is the same in each turn. */
export function translateItem(item: Json, context: ItemContext): TranslatedItem {
  const type = typeof item.type === "string" ? item.type : "message";
  if (leftOutItemTypes.has(type)) return { text: "", images: [], pass: `drop-${type.replaceAll("_", "-")}` };
  const translate = translations[type];
  const done = translate === undefined ? undefined : translate(item, context);
  if (done !== undefined) return { images: [], pass: type.replaceAll("_", "-"), ...done };
  return { text: JSON.stringify(told(item, type)), images: [], pass: "unknown-items" };
}

/** What images of tools' outputs are put into, behind the outputs. */
export function imageMessage(images: readonly unknown[]): string {
  const said = { type: "input_text", text: "What the tools above gave as images:" };
  return JSON.stringify({ type: "message", role: "user", content: [said, ...images] });
}

type Translation = (item: Json, context: ItemContext) => Partial<TranslatedItem> & { readonly text: string };
/** Undefined: not of the form that is known, so that it is told as it is. */
type Attempt = (...given: Parameters<Translation>) => ReturnType<Translation> | undefined;

const translations: Readonly<Record<string, Attempt>> = {
  message: ({ content, ...message }, { images }) => ({
    text: JSON.stringify({
      ...message,
      content: Array.isArray(content) && images === false ? content.map((part) => withoutImage(part)) : content,
    }),
    pass: "images-as-text",
  }),

  /** Without a namespace it only gets its name: where no tool is renamed it passes as it is, and has to have the same bytes in a turn that renames one. */
  function_call: (item, { nameOf }) => {
    const { name, namespace, call_id, arguments: given } = item;
    if (typeof name !== "string" || typeof call_id !== "string") return undefined;
    const flat = nameOf(originOf("function", name, namespace));
    const text = asText(given ?? {});
    if (namespace !== undefined) return { text: call(call_id, flat, text) };
    return { text: JSON.stringify({ ...item, name: flat, arguments: text }) };
  },

  /** BT#1077 and ggml-org/llama.cpp#23465: an output that is not a string is refused, or not read. */
  function_call_output: outputItem,
  custom_tool_call_output: outputItem,

  custom_tool_call: ({ name, namespace, call_id, input }, { nameOf }) =>
    typeof name === "string" && typeof call_id === "string"
      ? {
          text: call(
            call_id,
            nameOf(originOf("custom", name, namespace)),
            JSON.stringify({ [customArgument]: asText(input ?? "") }),
          ),
        }
      : undefined,

  tool_search_call: ({ call_id, arguments: given }, { nameOf }) =>
    typeof call_id === "string"
      ? { text: call(call_id, nameOf({ kind: "tool-search" }), asText(given ?? {})) }
      : undefined,

  /** The tools themselves are put to the others. */
  tool_search_output: ({ call_id, tools }, { nameOf }) =>
    typeof call_id === "string" && Array.isArray(tools)
      ? { text: output(call_id, foundTools(tools, nameOf)) }
      : undefined,

  additional_tools: ({ tools }) => (Array.isArray(tools) ? { text: "" } : undefined),

  web_search_call: (item, { nameOf, recall }) => {
    const name = nameOf({ kind: "web-search", settings: { domains: [], results: 0 } });
    const pair = replayedSearch(item, name, recall);
    return { text: `${JSON.stringify(pair.call)},${JSON.stringify(pair.output)}` };
  },

  /** Of Codex before 2026, in conversations that are resumed. */
  local_shell_call: ({ call_id, action }) =>
    typeof call_id === "string" ? { text: call(call_id, "local_shell", asText(action ?? {})) } : undefined,

  agent_message: ({ author, recipient, content }) => {
    const text = textOf(content, false).text;
    return { text: JSON.stringify(userText(`Message from ${asText(author)} to ${asText(recipient)}:\n${text}`)) };
  },
};

function outputItem({ call_id, output: given }: Json, { images }: ItemContext): ReturnType<Attempt> {
  if (typeof call_id !== "string") return undefined;
  const { text, images: found } = textOf(given, images !== false);
  return { text: output(call_id, text), images: found };
}

function call(callId: string, name: string, given: string): string {
  return JSON.stringify({ type: "function_call", call_id: callId, name, arguments: given });
}

function output(callId: string, text: string): string {
  return JSON.stringify({ type: "function_call_output", call_id: callId, output: text });
}

function foundTools(tools: readonly unknown[], nameOf: ItemContext["nameOf"]): string {
  const lines = tools.flatMap(function lines(tool: unknown): string[] {
    if (!isRecord(tool)) return [];
    const { type, name, tools: inner, description } = tool;
    if (type === "namespace" && Array.isArray(inner)) {
      return inner.flatMap((each) => (isRecord(each) ? lines({ ...each, namespace: name }) : []));
    }
    if ((type !== "function" && type !== "custom") || typeof name !== "string") return [];
    const first = typeof description === "string" ? (description.trim().split("\n", 1)[0] ?? "") : "";
    return [`- ${nameOf(originOf(type, name, tool.namespace))}${first === "" ? "" : `: ${first}`}`];
  });
  return lines.length === 0 ? "No tool was found." : `These tools can be called from now on:\n${lines.join("\n")}`;
}

/** The text of an output or of a message; what is neither text nor an image that may stay is named in its place. */
function textOf(content: unknown, keepImages: boolean): { text: string; images: readonly unknown[] } {
  if (!Array.isArray(content)) return { text: asText(content ?? ""), images: [] };
  const images: unknown[] = [];
  const texts = content.map((part: unknown) => {
    if (!isRecord(part)) return asText(part);
    if (typeof part.text === "string") return part.text;
    if (part.type !== "input_image") return `[${asText(part.type ?? "part")} left out: it cannot be passed on]`;
    if (keepImages) images.push(part);
    return keepImages ? "[image: see below]" : noImage;
  });
  return { text: texts.join("\n"), images };
}

const noImage = "[image left out: this model takes text only]";

function withoutImage(part: unknown): unknown {
  return isRecord(part) && part.type === "input_image" ? { type: "input_text", text: noImage } : part;
}

/** As the user's word: an assistant's at the end would be taken for the beginning of the answer. */
function told(item: Json, type: string) {
  const { type: _, id, status, ...rest } = item;
  const text = JSON.stringify(rest, (key, value) => (unreadable.has(key) && String(value).length > 200 ? "…" : value));
  return userText(`[${type}: this part of the conversation can only be told as data]\n${text}`);
}

/** Members that hold nothing for a reader: encrypted text, and images as base64. */
const unreadable: ReadonlySet<string> = new Set(["encrypted_content", "result", "image_url", "data"]);

function userText(text: string) {
  return { type: "message", role: "user", content: [{ type: "input_text", text }] };
}
