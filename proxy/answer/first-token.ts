/** Which events bring a token: text, reasoning, or a tool call's arguments. */
import type { AnswerForm } from "./form.ts";

type Json = Readonly<Record<string, unknown>>;

/** `name` is the event's own, for those that do not say their type inside. */
export function bringsToken(form: AnswerForm, event: unknown, name: string): boolean {
  if (!isObject(event)) return false;
  const type = typeof event.type === "string" ? event.type : name;
  if (form === "chat") return listOf(event.choices).some(({ delta }) => isObject(delta) && chatDelta(delta));
  if (form === "completions") return listOf(event.choices).some(({ text }) => isText(text));
  if (form === "messages")
    return (
      type === "content_block_delta" &&
      isObject(event.delta) &&
      anyText(event.delta, ["text", "thinking", "partial_json"])
    );
  if (form === "native-chat")
    return (
      (type.endsWith(".delta") && isText(event.content)) ||
      (type === "tool_call.arguments" && isObject(event.arguments))
    );
  // LM Studio sends a call's arguments at once, with `.done` and no `.delta` before it.
  return type.endsWith(".delta") ? isText(event.delta) : type.endsWith("arguments.done") && isText(event.arguments);
}

function chatDelta(delta: Json): boolean {
  if (anyText(delta, ["content", "reasoning_content", "reasoning"])) return true;
  return listOf(delta.tool_calls).some(
    (call) => isObject(call.function) && anyText(call.function, ["name", "arguments"]),
  );
}

const anyText = (object: Json, keys: readonly string[]): boolean => keys.some((key) => isText(object[key]));

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";

const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
