/** `/v1/messages`, the Anthropic dialect: text, thinking and tool use blocks. */
import { randomBytes } from "node:crypto";
import type { Piece } from "../engine/engine.ts";
import { anthropicMessages, anthropicTools } from "./conversation.ts";
import { begin, type EventStream, type Exchange, type Run, sendJson, streamed } from "./exchange.ts";

const newId = (prefix: string): string => `${prefix}${randomBytes(12).toString("hex")}`;

export async function messages(exchange: Exchange): Promise<void> {
  const { body } = exchange;
  const choice = body.tool_choice as { type?: string; name?: string } | undefined;
  const run = await begin(exchange, {
    dialect: "messages",
    messages: anthropicMessages(body),
    tools: anthropicTools(body),
    toolChoice: choice?.type === "any" ? "required" : (choice?.name ?? choice?.type ?? "auto"),
    maxTokens: typeof body.max_tokens === "number" ? body.max_tokens : null,
  });
  const head = { id: newId("msg_"), type: "message", role: "assistant", model: run.instance.identifier };
  if (body.stream === true) return await streamed(exchange, (events) => streamMessage(exchange, run, head, events));
  const content: Record<string, unknown>[] = [];
  for await (const piece of run.pieces) {
    const block = content.at(-1);
    if (piece.kind === "text" && block?.type === "text") block.text = `${block.text as string}${piece.text}`;
    else if (piece.kind === "reasoning" && block?.type === "thinking")
      block.thinking = `${block.thinking as string}${piece.text}`;
    else content.push(startBlock(piece, true));
  }
  if (exchange.signal.aborted) return;
  const usage = { input_tokens: run.usage.prompt, output_tokens: run.usage.output };
  sendJson(exchange.response, 200, { ...head, content, stop_reason: stopReason(run), stop_sequence: null, usage });
}

function startBlock(piece: Piece, whole: boolean): Record<string, unknown> {
  if (piece.kind === "text") return { type: "text", text: whole ? piece.text : "" };
  if (piece.kind === "reasoning") return { type: "thinking", thinking: whole ? piece.text : "", signature: "" };
  return {
    type: "tool_use",
    id: newId("toolu_"),
    name: piece.name,
    input: whole ? (JSON.parse(piece.arguments) as unknown) : {},
  };
}

function delta(piece: Piece): unknown {
  if (piece.kind === "text") return { type: "text_delta", text: piece.text };
  if (piece.kind === "reasoning") return { type: "thinking_delta", thinking: piece.text };
  return { type: "input_json_delta", partial_json: piece.arguments };
}

const stopReason = (run: Run): string =>
  ({ stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" })[run.usage.finish];

async function streamMessage(
  exchange: Exchange,
  run: Run,
  head: Record<string, unknown>,
  events: EventStream,
): Promise<void> {
  const send = (type: string, data: Record<string, unknown>): Promise<void> => events.send({ type, ...data }, type);
  const usage = { input_tokens: run.usage.prompt, output_tokens: 0 };
  await send("message_start", { message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage } });
  let index = -1;
  let kind: Piece["kind"] | null = null;
  for await (const piece of run.pieces) {
    if (piece.kind !== kind || piece.kind === "tool") {
      if (kind !== null) await send("content_block_stop", { index });
      index += 1;
      kind = piece.kind;
      await send("content_block_start", { index, content_block: startBlock(piece, false) });
    }
    await send("content_block_delta", { index, delta: delta(piece) });
  }
  if (exchange.signal.aborted) return;
  if (kind !== null) await send("content_block_stop", { index });
  await send("message_delta", {
    delta: { stop_reason: stopReason(run), stop_sequence: null },
    usage: { output_tokens: run.usage.output },
  });
  await send("message_stop", {});
}
