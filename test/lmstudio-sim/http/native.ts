/** LM Studio's own REST: `/api/v1/chat` and model management under `/api/v1/models`. */
import { randomBytes } from "node:crypto";
import type { LoadRequest } from "../daemon/instances.ts";
import { nativeMessages } from "./conversation.ts";
import { begin, type Exchange, type Run, sendJson, streamed } from "./exchange.ts";
import { modelNotFound, RequestRefused } from "./refusal.ts";

export async function nativeChat(exchange: Exchange): Promise<void> {
  const { body } = exchange;
  const maxTokens = typeof body.max_output_tokens === "number" ? body.max_output_tokens : null;
  const run = await begin(exchange, {
    dialect: "native",
    messages: nativeMessages(body),
    tools: [],
    toolChoice: "none",
    maxTokens,
  });
  if (body.stream === true) {
    await streamed(exchange, async (events) => {
      const send = (type: string, data: Record<string, unknown>): Promise<void> => events.send({ type, ...data }, type);
      await send("chat.start", { model_instance_id: run.instance.identifier });
      let open: "reasoning" | "message" | null = null;
      let text = { reasoning: "", message: "" };
      for await (const piece of run.pieces) {
        if (piece.kind === "tool") continue;
        const kind = piece.kind === "text" ? "message" : "reasoning";
        if (open !== kind) {
          if (open !== null) await send(`${open}.end`, {});
          open = kind;
          await send(`${kind}.start`, {});
        }
        text = { ...text, [kind]: text[kind] + piece.text };
        await send(`${kind}.delta`, { content: piece.text });
      }
      if (exchange.signal.aborted) return;
      if (open !== null) await send(`${open}.end`, {});
      await send("chat.end", { result: result(run, body.store !== false, text.reasoning, text.message) });
    });
    return;
  }
  let reasoning = "";
  let message = "";
  for await (const piece of run.pieces) {
    if (piece.kind === "reasoning") reasoning += piece.text;
    else if (piece.kind === "text") message += piece.text;
  }
  if (!exchange.signal.aborted) sendJson(exchange.response, 200, result(run, body.store !== false, reasoning, message));
}

function result(run: Run, store: boolean, reasoning: string, message: string): unknown {
  return {
    model_instance_id: run.instance.identifier,
    output: [
      ...(reasoning === "" ? [] : [{ type: "reasoning", content: reasoning }]),
      { type: "message", content: message },
    ],
    stats: {
      input_tokens: run.usage.prompt,
      total_output_tokens: run.usage.output,
      reasoning_output_tokens: run.usage.reasoning,
    },
    ...(store ? { response_id: `resp_${randomBytes(16).toString("hex")}` } : {}),
  };
}

const loadKeys = [
  "model",
  "context_length",
  "eval_batch_size",
  "flash_attention",
  "num_experts",
  "offload_kv_cache_to_gpu",
  "echo_load_config",
];

/** No identifier, parallel or ttl here: LM Studio rejects keys that it does not know. */
export async function loadOverRest(exchange: Exchange): Promise<void> {
  const { body, instances } = exchange;
  const unknown = Object.keys(body).find((key) => !loadKeys.includes(key));
  if (unknown !== undefined)
    throw new RequestRefused(400, `Unrecognized key: '${unknown}'`, unknown, "unrecognized_keys");
  const model = instances.options
    .catalog()
    .find((candidate) => candidate.modelKey === body.model || candidate.path === body.model);
  if (model === undefined) throw modelNotFound(String(body.model));
  const began = performance.now();
  const request: LoadRequest = {
    model,
    contextLength: typeof body.context_length === "number" ? body.context_length : undefined,
  };
  const instance = await instances.load(request);
  sendJson(exchange.response, 200, {
    type: "llm",
    instance_id: instance.identifier,
    load_time_seconds: (performance.now() - began) / 1000,
    status: "loaded",
    ...(body.echo_load_config === true ? { load_config: { context_length: instance.contextLength } } : {}),
  });
}

export async function unloadOverRest(exchange: Exchange): Promise<void> {
  const identifier = String(exchange.body.instance_id);
  if (!(await exchange.instances.unload(identifier))) throw modelNotFound(identifier);
  sendJson(exchange.response, 200, { instance_id: identifier });
}

/** Nothing can be fetched from here: what is there already is all there is. */
export async function downloadOverRest(exchange: Exchange): Promise<void> {
  const { body, instances, response } = exchange;
  if (!instances.options.catalog().some((model) => model.modelKey === body.model))
    throw modelNotFound(String(body.model));
  sendJson(response, 200, { status: "already_downloaded" });
}
