/** Answers as LM Studio streams them, by what the model put out, and what the client then reads. */

import { AnswerTranslator } from "../../../../../proxy/codex/answer/translator.ts";
import type { CallOrigin, CallTable } from "../../../../../proxy/codex/calls.ts";
import { splitAt } from "../../answer/answer-text.ts";
import { type Json, type Printing, plainPrinting, printed, read } from "../../answer/dialects.ts";

export type Said =
  | { readonly kind: "text" | "reasoning"; readonly pieces: readonly string[] }
  /** `pieces`: arguments in deltas too; LM Studio gives them at once. */
  | { readonly kind: "call"; readonly name: string; readonly arguments: unknown; readonly pieces?: readonly string[] };

export const text: Said = { kind: "text", pieces: ["Hel", "lo."] };
export const call = (name: string, args: unknown = "{}"): Said => ({ kind: "call", name, arguments: args });
export const patch = "*** Begin Patch\n*** End Patch";

export const responseId = "resp_lmstudio";
export const usage = {
  input_tokens: 7,
  input_tokens_details: { cached_tokens: 2 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 12,
};

const partOf = (said: Said, text: string): Json =>
  said.kind === "text" ? { type: "output_text", text, annotations: [] } : { type: "reasoning_text", text };

export function itemOf(said: Said, index: number): Json {
  if (said.kind === "call") {
    const { name, arguments: args } = said;
    return {
      type: "function_call",
      id: `fc_${index}`,
      call_id: `call_${index}`,
      name,
      arguments: args,
      status: "completed",
    };
  }
  const content = [partOf(said, said.pieces.join(""))];
  return said.kind === "text"
    ? { type: "message", id: `msg_${index}`, role: "assistant", status: "completed", content }
    : { type: "reasoning", id: `rs_${index}`, summary: [], content, status: "completed" };
}

export const responseOf = (said: readonly Said[], more: Json = {}): Json => ({
  id: responseId,
  object: "response",
  created_at: 1,
  status: "completed",
  model: "m",
  tools: [],
  output: said.map(itemOf),
  usage,
  ...more,
});

export function lmStudio(said: readonly Said[], more: Json = {}): Json[] {
  const begun = responseOf([], { status: "in_progress", usage: null });
  const events: Json[] = [
    { type: "response.created", response: begun },
    { type: "response.in_progress", response: begun },
    ...said.flatMap((one, index) => eventsOf(one, index)),
    { type: "response.completed", response: responseOf(said, more) },
  ];
  return events.map((event, sequence_number) => ({ ...event, sequence_number }));
}

function eventsOf(said: Said, output_index: number): Json[] {
  const item = itemOf(said, output_index);
  const place = { item_id: item.id, output_index };
  const done = { type: "response.output_item.done", output_index, item };
  const added = (more: Json): Json => ({
    type: "response.output_item.added",
    output_index,
    item: { ...item, ...more, status: "in_progress" },
  });
  if (said.kind === "call") {
    const deltas = (said.pieces ?? []).map((delta) => ({
      type: "response.function_call_arguments.delta",
      ...place,
      delta,
    }));
    const { name, arguments: args } = said;
    return [
      added({ arguments: "" }),
      ...deltas,
      { type: "response.function_call_arguments.done", ...place, name, arguments: args },
      done,
    ];
  }
  const at = { ...place, content_index: 0 };
  const kind = said.kind === "text" ? "response.output_text" : "response.reasoning_text";
  const text = said.pieces.join("");
  return [
    added({ content: [] }),
    { type: "response.content_part.added", ...at, part: partOf(said, "") },
    ...said.pieces.map((delta) => ({ type: `${kind}.delta`, ...at, delta, logprobs: [] })),
    { type: `${kind}.done`, ...at, text },
    { type: "response.content_part.done", ...at, part: partOf(said, text) },
    done,
  ];
}

/** Tools under the names that LM Studio was told. */
export function tools(origins: Readonly<Record<string, CallOrigin>>): CallTable {
  return { origins: new Map(Object.entries(origins)), plain: false };
}

export const codexTools = tools({
  exec_command: { kind: "function", name: "exec_command" },
  multi_agent_v1__close_agent: { kind: "function", name: "close_agent", namespace: "multi_agent_v1" },
  mcp__files__read: { kind: "function", name: "read", namespace: "mcp__files" },
  mcp__notes__read: { kind: "function", name: "read", namespace: "mcp__notes" },
  apply_patch: { kind: "custom", name: "apply_patch" },
  tool_search: { kind: "tool-search" },
});
export const plainTools: CallTable = {
  origins: new Map([["exec_command", { kind: "function", name: "exec_command" }]]),
  plain: true,
};

export const translatorFor = (calls: CallTable = codexTools, toldId?: string): AnswerTranslator =>
  new AnswerTranslator({ calls, responseId: "resp_own", toldId: () => toldId });

/** With all that a server may print around the events. */
export const withExtras: Printing = { ...plainPrinting, names: true, comments: true };

export interface Translated {
  readonly events: Json[];
  readonly bytes: Buffer;
  readonly translator: AnswerTranslator;
}

export function translated(
  events: readonly (Json | string)[],
  options: { calls?: CallTable; printing?: Printing; cuts?: readonly number[]; translator?: AnswerTranslator } = {},
): Translated {
  const { calls, printing = { ...plainPrinting, names: true }, cuts = [] } = options;
  const translator = options.translator ?? translatorFor(calls);
  const chunks = splitAt(printed(events, printing), cuts).map((chunk) => translator.push(chunk));
  const bytes = Buffer.concat([...chunks, translator.end()]);
  return { events: read(bytes).filter((event) => typeof event !== "string"), bytes, translator };
}

export const ofType = (events: readonly Json[], type: string): Json[] => events.filter((event) => event.type === type);
export const doneItems = (events: readonly Json[]): Json[] =>
  ofType(events, "response.output_item.done").map(({ item }) => item as Json);
export const finalOutput = (events: readonly Json[]): Json[] =>
  (ofType(events, "response.completed").at(-1)?.response as { output: Json[] } | undefined)?.output ?? [];
