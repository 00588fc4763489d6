/** Where each endpoint keeps its switch for thinking, and the edits that put it where the policy wants it. */
import { findMember, type JsonBody } from "../splice/body.ts";
import { changeMembers, type Edit } from "../splice/edit.ts";
import type { ReasoningOptions, Strategy, Thinking } from "./policy.ts";

export type SwitchedEndpoint = "responses" | "chat" | "native-chat" | "messages";

export interface ThinkingRequest {
  readonly endpoint: SwitchedEndpoint;
  readonly thinking: Thinking;
  readonly strategy: Strategy;
  readonly options: ReasoningOptions;
}

/** The ancestor's prefill: an answer that has already finished thinking. */
const prefill = JSON.stringify({ role: "assistant", content: "<think>\n\n</think>\n\n" });

/** Edits of `body` so that the model thinks as the policy says; none when it does already. `on` only takes back a client's "off". */
export function thinkingEdits(body: JsonBody, request: ThinkingRequest): Edit[] {
  if (request.thinking === "client") return [];
  const off = request.thinking === "off";
  switch (request.endpoint) {
    case "responses":
      return nestedSwitch(body, "reasoning", "effort", "none", off);
    case "messages":
      return nestedSwitch(body, "thinking", "type", "disabled", off);
    case "native-chat":
      // This endpoint refuses the field for a model that does not list the option.
      if (off && !request.options?.includes("off")) return [];
      return flatSwitch(body, "reasoning", "off", off);
    case "chat":
      return [
        ...(request.strategy.effort || !off ? flatSwitch(body, "reasoning_effort", "none", off) : []),
        ...(request.strategy.prefill && off ? prefillEdits(body) : []),
      ];
  }
}

function flatSwitch(body: JsonBody, key: string, offValue: string, off: boolean): Edit[] {
  const isOff = body.text(key) === offValue;
  if (isOff === off) return [];
  return changeMembers(body.object, body.members, new Map([[key, off ? JSON.stringify(offValue) : undefined]]));
}

/** The other members of the object stay as they are: Codex asks for a summary in the same place. */
function nestedSwitch(body: JsonBody, key: string, inner: string, offValue: string, off: boolean): Edit[] {
  const value = body.find(key);
  if (value?.members === undefined) {
    if (!off) return [];
    return changeMembers(body.object, body.members, new Map([[key, JSON.stringify({ [inner]: offValue })]]));
  }
  const switched = findMember(value.members, inner);
  const isOff = switched !== undefined && body.parse(switched) === offValue;
  if (isOff === off) return [];
  // Half an object says less than none: a switch that is taken back takes its object along.
  if (!off && value.members.length === 1) return changeMembers(body.object, body.members, new Map([[key, undefined]]));
  return changeMembers(value, value.members, new Map([[inner, off ? JSON.stringify(offValue) : undefined]]));
}

/** Behind the last message, unless that is the assistant's: two in a row are refused, and a client's own prefill is not ours to touch. */
function prefillEdits(body: JsonBody): Edit[] {
  const last = body.find("messages")?.elements?.at(-1);
  if (last === undefined || last.role === "assistant") return [];
  return [{ start: last.end, end: last.end, text: `,${prefill}` }];
}
