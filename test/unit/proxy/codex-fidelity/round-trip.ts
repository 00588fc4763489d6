/** A request on its way to LM Studio, and an answer on its way back, as the proxy's pure part has them. */
import { AnswerTranslator } from "../../../../proxy/codex/answer/translator.ts";
import type { CallTable } from "../../../../proxy/codex/calls.ts";
import { RequestMemo, type RequestOptions, translateRequest } from "../../../../proxy/codex/request/translate.ts";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../proxy/splice/rewriting.ts";
import { type CodexTool, calledTool, givenTo, keyOf, readStream, toolsOf, unsound } from "./codex.ts";
import { type Json, listOf } from "./json.ts";
import { type Answer, answer, type Said } from "./lm-studio.ts";

export interface Sent {
  readonly text: string;
  readonly body: Json;
  readonly calls: CallTable;
  readonly dropped: readonly string[];
}

export function sentUp(text: string, options: RequestOptions = { images: true }, memo = new RequestMemo()): Sent {
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const { calls, droppedTools } = translateRequest(rewriting, options, memo);
  const sent = Buffer.concat(rewriting.chunks()).toString();
  return { text: sent, body: JSON.parse(sent) as Json, calls, dropped: droppedTools };
}

const translator = (calls: CallTable) =>
  new AnswerTranslator({ calls, responseId: "resp_own", toldId: () => undefined });

export function streamedDown(calls: CallTable, pieces: readonly Buffer[]): Buffer {
  const translating = translator(calls);
  return Buffer.concat([...pieces.map((piece) => translating.push(piece)), translating.end()]);
}

export const wholeDown = (calls: CallTable, body: Buffer): Json =>
  JSON.parse(translator(calls).whole(body).toString()) as Json;

/** What the model is made to say of a tool, by what Codex will be given. */
const argumentsFor = (tool: CodexTool, text: string): { readonly told: string; readonly given: unknown } => {
  if (tool.kind === "custom") return { told: JSON.stringify({ input: text }), given: text };
  const value = tool.kind === "tool_search" ? { query: text, limit: 2 } : { cmd: text, n: 1 };
  return { told: JSON.stringify(value), given: tool.kind === "tool_search" ? value : JSON.stringify(value) };
};

export interface Returned {
  readonly answer: Answer;
  /** Tools that Codex would run, and what they are given. */
  readonly ran: readonly (readonly [string | undefined, unknown])[];
  readonly expected: readonly (readonly [string, unknown])[];
  /** What is amiss with the form of the answer. */
  readonly amiss: readonly string[];
  readonly stream: Buffer;
}

/** A model that calls every tool that it was told of, once, and what comes of that. `toolBehind` knows which one a told function stands for. */
export function calledAll(
  asked: Json,
  { body, calls }: Sent,
  toolBehind: (told: Json) => CodexTool,
  text: string,
  argumentPieces: boolean,
): Returned {
  const tools = toolsOf(asked);
  const expected: [string, unknown][] = [];
  const says: Said[] = [
    { kind: "reasoning", text },
    { kind: "text", text },
  ];
  for (const told of listOf(body.tools)) {
    const tool = toolBehind(told);
    const { told: args, given } = argumentsFor(tool, text);
    says.push({ kind: "call", name: String(told.name), args });
    expected.push([keyOf(tool), given]);
  }
  const said = answer(says, argumentPieces);
  const stream = streamedDown(calls, [said.stream]);
  const { events, items } = readStream(stream);
  const whole = listOf(wholeDown(calls, said.whole).output);
  const last = (events.at(-1)?.response ?? {}) as Json;
  const amiss = unsound(events);
  if (JSON.stringify(items) !== JSON.stringify(whole)) amiss.push("the stream says other items than the whole answer");
  if (JSON.stringify(items) !== JSON.stringify(last.output)) amiss.push("the last event says other items");
  if (JSON.stringify(items.slice(0, 2)) !== JSON.stringify(said.items.slice(0, 2)))
    amiss.push("texts are not what was said");
  const ran = items.slice(2).map((item) => {
    const tool = calledTool(item, tools);
    return [tool && keyOf(tool), givenTo(item)] as const;
  });
  return { answer: said, ran, expected, amiss, stream };
}
