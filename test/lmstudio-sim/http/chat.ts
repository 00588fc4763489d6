/** `/v1/chat/completions`, `/api/v0/chat/completions` and `/v1/completions`. */
import { randomBytes } from "node:crypto";
import { chatMessages, chatTools, toolChoice } from "./conversation.ts";
import { begin, type Exchange, type Run, sendJson, streamed, type Usage } from "./exchange.ts";
import { RequestRefused } from "./refusal.ts";

const newId = (prefix: string): string => `${prefix}${randomBytes(12).toString("hex")}`;
const seconds = (): number => Math.floor(Date.now() / 1000);

const maxTokensOf = (body: Exchange["body"]): number | null => {
  const limit = body.max_completion_tokens ?? body.max_tokens;
  return typeof limit === "number" && limit > 0 ? limit : null;
};

export async function chatCompletions(exchange: Exchange): Promise<void> {
  const { body, traps } = exchange;
  const run = await begin(exchange, {
    dialect: "chat",
    messages: chatMessages(body, traps),
    tools: chatTools(body, traps),
    toolChoice: toolChoice(body, traps),
    maxTokens: maxTokensOf(body),
  });
  await (body.stream === true ? streamChat(exchange, run) : wholeChat(exchange, run));
}

async function wholeChat(exchange: Exchange, run: Run): Promise<void> {
  let content = "";
  let reasoning = "";
  const calls: unknown[] = [];
  for await (const piece of run.pieces) {
    if (piece.kind === "text") content += piece.text;
    else if (piece.kind === "reasoning") reasoning += piece.text;
    else
      calls.push({ type: "function", id: newId("call_"), function: { name: piece.name, arguments: piece.arguments } });
  }
  if (exchange.signal.aborted) return;
  sendJson(exchange.response, 200, {
    id: newId("chatcmpl-"),
    object: "chat.completion",
    created: seconds(),
    model: run.instance.identifier,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content,
          ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
          tool_calls: calls,
        },
        logprobs: null,
        finish_reason: run.usage.finish,
      },
    ],
    usage: chatUsage(run.usage),
    stats: {},
    system_fingerprint: run.instance.identifier,
    // The native endpoint says what it used.
    ...(exchange.path.startsWith("/api/v0/")
      ? { model_info: { arch: run.instance.model.architecture, context_length: run.instance.contextLength } }
      : {}),
  });
}

async function streamChat(exchange: Exchange, run: Run): Promise<void> {
  const id = newId("chatcmpl-");
  const created = seconds();
  const chunk = (delta: unknown, finish: string | null): unknown => ({
    id,
    object: "chat.completion.chunk",
    created,
    model: run.instance.identifier,
    system_fingerprint: run.instance.identifier,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });
  await streamed(exchange, async (events) => {
    let call = 0;
    for await (const piece of run.pieces) {
      if (piece.kind === "text") await events.send(chunk({ role: "assistant", content: piece.text }, null));
      else if (piece.kind === "reasoning")
        await events.send(chunk({ role: "assistant", reasoning_content: piece.text }, null));
      else {
        const base = { index: call, id: newId("call_"), type: "function" };
        await events.send(
          chunk({ role: "assistant", tool_calls: [{ ...base, function: { name: piece.name, arguments: "" } }] }, null),
        );
        await events.send(
          chunk(
            { tool_calls: [{ index: call, type: "function", function: { name: "", arguments: piece.arguments } }] },
            null,
          ),
        );
        call += 1;
      }
    }
    if (exchange.signal.aborted) return;
    await events.send(chunk({}, run.usage.finish));
    const options = exchange.body.stream_options as { include_usage?: boolean } | undefined;
    if (options?.include_usage === true) {
      await events.send({
        id,
        object: "chat.completion.chunk",
        created,
        model: run.instance.identifier,
        choices: [],
        usage: chatUsage(run.usage),
      });
    }
    await events.send("[DONE]");
  });
}

const chatUsage = (usage: Usage): unknown => ({
  prompt_tokens: usage.prompt,
  completion_tokens: usage.output,
  total_tokens: usage.prompt + usage.output,
  completion_tokens_details: { reasoning_tokens: usage.reasoning },
});

/** Plain text completion: no template, hence no thinking to switch. */
export async function completions(exchange: Exchange): Promise<void> {
  const { body } = exchange;
  if (typeof body.prompt !== "string")
    throw new RequestRefused(400, "'prompt' field is required", "prompt", "missing_required_parameter");
  const run = await begin(exchange, {
    dialect: "completions",
    messages: [{ role: "user", text: body.prompt }],
    tools: [],
    toolChoice: "none",
    maxTokens: maxTokensOf(body),
  });
  const base = { id: newId("cmpl-"), object: "text_completion", created: seconds(), model: run.instance.identifier };
  const choice = (text: string, finish: string | null): unknown => ({
    index: 0,
    text,
    logprobs: null,
    finish_reason: finish,
  });
  if (body.stream === true) {
    await streamed(exchange, async (events) => {
      for await (const piece of run.pieces)
        if (piece.kind === "text") await events.send({ ...base, choices: [choice(piece.text, null)] });
      await events.send({ ...base, choices: [choice("", run.usage.finish)], usage: chatUsage(run.usage) });
      await events.send("[DONE]");
    });
    return;
  }
  let text = "";
  for await (const piece of run.pieces) if (piece.kind === "text") text += piece.text;
  if (!exchange.signal.aborted)
    sendJson(exchange.response, 200, {
      ...base,
      choices: [choice(text, run.usage.finish)],
      usage: chatUsage(run.usage),
    });
}
