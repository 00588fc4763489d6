/** Which events bring a token: text, reasoning, or a tool call's arguments. */
import { isRecord, type Json, recordsOf } from "../unknown-json.ts";
import type { AnswerForm } from "./form.ts";

/** `name` is the event's own, for those that do not say their type inside. */
export function bringsToken(form: AnswerForm, event: unknown, name: string): boolean {
  if (!isRecord(event)) return false;
  const type = typeof event.type === "string" ? event.type : name;
  if (form === "chat") return recordsOf(event.choices).some(({ delta }) => isRecord(delta) && chatDelta(delta));
  if (form === "completions") return recordsOf(event.choices).some(({ text }) => isText(text));
  if (form === "messages")
    return (
      type === "content_block_delta" &&
      isRecord(event.delta) &&
      anyText(event.delta, ["text", "thinking", "partial_json"])
    );
  if (form === "native-chat")
    return (
      (type.endsWith(".delta") && isText(event.content)) ||
      (type === "tool_call.arguments" && isRecord(event.arguments))
    );
  // LM Studio sends a call's arguments at once, with `.done` and no `.delta` before it.
  return type.endsWith(".delta") ? isText(event.delta) : type.endsWith("arguments.done") && isText(event.arguments);
}

function chatDelta(delta: Json): boolean {
  if (anyText(delta, ["content", "reasoning_content", "reasoning"])) return true;
  return recordsOf(delta.tool_calls).some(
    (call) => isRecord(call.function) && anyText(call.function, ["name", "arguments"]),
  );
}

const anyText = (object: Json, keys: readonly string[]): boolean => keys.some((key) => isText(object[key]));

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
