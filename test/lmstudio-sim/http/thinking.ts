/** Which switches LM Studio honours for thinking, and which it accepts without effect (facts section "Switching thinking off"). */
import type { Instance } from "../daemon/instances.ts";
import type { Traps } from "../traps.ts";
import { RequestRefused } from "./refusal.ts";

export type Dialect = "chat" | "responses" | "native" | "messages" | "completions";

type Body = Readonly<Record<string, unknown>>;

/** What the request itself says in the one form that its endpoint honours; null when it says nothing that counts. */
function requestedThinking(dialect: Dialect, body: Body, traps: Traps): boolean | null {
  if (dialect === "chat") return traps.chatEffort ? fromEffort(body.reasoning_effort) : null;
  if (dialect === "responses") return fromEffort((body.reasoning as Body | null | undefined)?.effort);
  if (dialect === "native")
    return body.reasoning === "off"
      ? false
      : ["on", "low", "medium", "high"].includes(body.reasoning as string)
        ? true
        : null;
  if (dialect === "messages") return messagesThinking(body, traps);
  return null;
}

/** "off" is no effort: it is ignored, as is anything else that is not listed. */
function fromEffort(effort: unknown): boolean | null {
  if (effort === "none") return false;
  return ["minimal", "low", "medium", "high", "xhigh"].includes(effort as string) ? true : null;
}

function messagesThinking(body: Body, traps: Traps): boolean | null {
  const type = (body.thinking as Body | undefined)?.type;
  if (type === "disabled" && traps.messagesThinkingOff) return false;
  const effort = (body.output_config as Body | undefined)?.effort;
  return type === "enabled" || ["low", "medium", "high", "max"].includes(effort as string) ? true : null;
}

export function thinks(dialect: Dialect, body: Body, instance: Instance, traps: Traps): boolean {
  if (instance.model.script?.thinks !== true || dialect === "completions") return false;
  if (dialect === "native" && body.reasoning !== undefined && traps.reasoningNotRecognised) {
    throw new RequestRefused(
      400,
      `Model "${instance.identifier}" does not support the reasoning setting`,
      "reasoning",
      "invalid_value",
    );
  }
  if (traps.thinksAnyway) return true;
  const byDefault = instance.defaults.enableThinking ?? true;
  return traps.reasoningNotRecognised ? byDefault : (requestedThinking(dialect, body, traps) ?? byDefault);
}

/** A conversation that ends with the assistant's own words: refused as llama.cpp does it, continued, or dropped. */
export function withPrefill(
  lastIsAssistant: boolean,
  lastText: string,
  thinking: boolean,
  traps: Traps,
): { thinks: boolean; dropLast: boolean } {
  if (!lastIsAssistant) return { thinks: thinking, dropLast: false };
  if (traps.prefill === "ignored") return { thinks: thinking, dropLast: true };
  if (traps.prefill === "refused" && thinking) {
    throw new RequestRefused(
      400,
      "Assistant response prefill is incompatible with enable_thinking.",
      "messages",
      "invalid_request",
    );
  }
  return { thinks: thinking && !lastText.includes("</think>"), dropLast: false };
}
