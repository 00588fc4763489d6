/** Where each endpoint keeps its switch for thinking, and how it is put where the policy wants it. */
import { findMember } from "../splice/body.ts";
import { changeMembers } from "../splice/edit.ts";
import type { Rewriting } from "../splice/rewriting.ts";
import { nameOf, type ReasoningOptions, type Strategy, type Thinking } from "./policy.ts";

export type SwitchedEndpoint = "responses" | "chat" | "native-chat" | "messages";

export interface ThinkingRequest {
  readonly endpoint: SwitchedEndpoint;
  readonly thinking: Thinking;
  readonly strategy: Strategy;
  readonly options: ReasoningOptions;
}

/** The ancestor's prefill: an answer that has already finished thinking. */
const closedThought = JSON.stringify({ role: "assistant", content: "<think>\n\n</think>\n\n" });

/** How thinking is off in a request, for a header of its answer; undefined where the endpoint has no switch for this model. */
export function switchName({ endpoint, strategy, options }: Omit<ThinkingRequest, "thinking">): string | undefined {
  if (endpoint === "chat") return nameOf(strategy);
  if (endpoint === "native-chat") return options?.includes("off") ? "reasoning" : undefined;
  return endpoint === "messages" ? "thinking" : "effort";
}

/** Makes the model think as the policy says; false when the request says so already. `on` only takes back a client's "off". */
export function switchThinking(rewriting: Rewriting, request: ThinkingRequest): boolean {
  if (request.thinking === "client") return false;
  const off = request.thinking === "off";
  switch (request.endpoint) {
    case "responses":
      return nestedSwitch(rewriting, "reasoning", "effort", "none", off);
    case "messages":
      return nestedSwitch(rewriting, "thinking", "type", "disabled", off);
    case "native-chat":
      // This endpoint refuses the field for a model that does not list the option.
      if (off && !request.options?.includes("off")) return false;
      return flatSwitch(rewriting, "reasoning", "off", off);
    case "chat": {
      const { effort, prefill } = request.strategy;
      const switched = (effort || !off) && flatSwitch(rewriting, "reasoning_effort", "none", off);
      const prefilled = prefill && off && addPrefill(rewriting);
      return switched || prefilled;
    }
  }
}

function flatSwitch(rewriting: Rewriting, key: string, offValue: string, off: boolean): boolean {
  const isOff = rewriting.body.text(key) === offValue;
  if (isOff === off) return false;
  rewriting.set(key, off ? JSON.stringify(offValue) : undefined);
  return true;
}

/** The other members of the object stay as they are: Codex asks for a summary in the same place. */
function nestedSwitch(rewriting: Rewriting, key: string, inner: string, offValue: string, off: boolean): boolean {
  const { body } = rewriting;
  const value = body.find(key);
  if (value?.members === undefined) {
    if (off) rewriting.set(key, JSON.stringify({ [inner]: offValue }));
    return off;
  }
  const switched = findMember(value.members, inner);
  const isOff = switched !== undefined && body.parse(switched) === offValue;
  if (isOff === off) return false;
  // Half an object says less than none: a switch that is taken back takes its object along.
  if (!off && value.members.length === 1) rewriting.set(key, undefined);
  else
    rewriting.edit(
      ...changeMembers(value, value.members, new Map([[inner, off ? JSON.stringify(offValue) : undefined]])),
    );
  return true;
}

/** Behind the last message, unless that is the assistant's: two in a row are refused, and a client's own prefill is not ours to touch. */
function addPrefill(rewriting: Rewriting): boolean {
  const last = rewriting.last("messages");
  if (last === undefined || last.role === "assistant") return false;
  rewriting.append("messages", closedThought);
  return true;
}
