/** One request on its way through the server: what every endpoint needs to answer it. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Instance, Instances } from "../daemon/instances.ts";
import type { Message, Piece, Tool } from "../engine/engine.ts";
import type { Journal } from "../journal.ts";
import type { Traps } from "../traps.ts";
import { EngineRefused, modelNotFound, RequestRefused } from "./refusal.ts";
import { type Dialect, thinks, withPrefill } from "./thinking.ts";

export interface Exchange {
  readonly id: number;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly response: ServerResponse;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  readonly instances: Instances;
  readonly journal: Journal;
  readonly traps: Traps;
  /** Called for each line that LM Studio would write to its own log. */
  readonly log: (type: string, line: unknown) => void;
}

export interface Run {
  readonly instance: Instance;
  readonly thinks: boolean;
  readonly pieces: AsyncIterable<Piece>;
  readonly usage: Usage;
}

/** Filled while the pieces are read; complete after the last one. */
export interface Usage {
  readonly prompt: number;
  output: number;
  reasoning: number;
  finish: "stop" | "length" | "tool_calls";
}

export interface Ask {
  readonly dialect: Dialect;
  readonly messages: Message[];
  readonly tools: readonly Tool[];
  readonly toolChoice: string;
  readonly maxTokens: number | null;
}

/** Resolves the model, applies the thinking rules and the context limit, and hands back the pieces to write. */
export async function begin(exchange: Exchange, ask: Ask): Promise<Run> {
  const { body, instances, traps, journal, id } = exchange;
  const name = typeof body.model === "string" ? body.model : "";
  const instance = await instances.resolve(name, typeof body.ttl === "number" ? body.ttl : undefined);
  if (instance === null) throw modelNotFound(name);
  const last = ask.messages.at(-1);
  const byRules = thinks(ask.dialect, body, instance, traps);
  const prefill = withPrefill(last?.role === "assistant", last?.text ?? "", byRules, traps);
  const messages = prefill.dropLast ? ask.messages.slice(0, -1) : ask.messages;
  const prompt = Math.min(instance.session.countTokens(messages), traps.promptCutAt ?? Number.POSITIVE_INFINITY);
  const room = traps.tokensPerSlot ?? instance.contextLength;
  if (instance.model.script?.vision === false && messages.some((message) => message.image)) {
    throw new RequestRefused(400, "Vision add-on is not loaded, but images were provided for processing", "input");
  }
  const usage: Usage = { prompt, output: 0, reasoning: 0, finish: "stop" };
  if (prompt >= room) {
    const found = tooLong(prompt, room, body.stream === true);
    journal.add({ event: "refuse", id, status: body.stream === true ? 200 : 400, message: found.message });
    if (body.stream !== true) throw found;
    return { instance, thinks: prefill.thinks, usage, pieces: failing(found) };
  }
  const temperature = typeof body.temperature === "number" ? body.temperature : null;
  const generated = instances.generate(
    instance,
    {
      messages,
      tools: ask.tools,
      toolChoice: ask.toolChoice,
      thinks: prefill.thinks,
      maxTokens: ask.maxTokens,
      temperature,
      signal: exchange.signal,
    },
    () => journal.add({ event: "generate", id, instance: instance.identifier, thinks: prefill.thinks }),
  );
  exchange.log("llm.prediction.input", {
    model: instance.identifier,
    input: messages.map((message) => message.text).join("\n"),
  });
  const limit = Math.min(ask.maxTokens ?? Number.POSITIVE_INFINITY, instance.contextLength - prompt);
  const leak = traps.thinkTagsLeak || !instances.options.settings().separateReasoning;
  const counted = count(exchange, generated, usage, limit);
  return { instance, thinks: prefill.thinks, usage, pieces: leak ? asTags(counted) : counted };
}

/** A document is refused in llama.cpp's words (opencode 2259); a stream has begun with 200 by then and ends with an error event (goose 11318). */
function tooLong(prompt: number, limit: number, stream: boolean): EngineRefused {
  const words = stream
    ? `Input does not fit in context length. The input has ${prompt} tokens, but the context length only supports ${limit} tokens.`
    : `The number of tokens to keep from the initial prompt is greater than the context length (n_keep: ${prompt}>= n_ctx: ${limit}). Try to load the model with a larger context length, or provide a shorter input.`;
  return new EngineRefused(400, words);
}

// biome-ignore lint/correctness/useYield: it fails before the first piece.
async function* failing(error: Error): AsyncGenerator<Piece> {
  throw error;
}

async function* count(
  exchange: Exchange,
  pieces: AsyncIterable<Piece>,
  usage: Usage,
  limit: number,
): AsyncGenerator<Piece> {
  const { journal, id, signal, traps } = exchange;
  for await (const piece of pieces) {
    usage.output += 1;
    if (piece.kind === "reasoning") usage.reasoning += 1;
    if (piece.kind === "tool") usage.finish = "tool_calls";
    yield piece;
    if (traps.crashAfterTokens !== null && usage.output >= traps.crashAfterTokens) process.kill(process.pid, "SIGKILL");
    if (usage.output >= limit) {
      if (piece.kind !== "tool") usage.finish = "length";
      break;
    }
  }
  if (signal.aborted) return void journal.add({ event: "cancel", id, tokens: usage.output });
  journal.add({ event: "finish", id, outputTokens: usage.output, reasoningTokens: usage.reasoning });
  exchange.log("llm.prediction.output", { tokens: usage.output });
}

/** Thinking that leaks: the same words, in the answer's text, between tags. */
async function* asTags(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  let open = false;
  for await (const piece of pieces) {
    if (piece.kind === "reasoning" && !open) {
      open = true;
      yield { kind: "text", text: `<think>\n${piece.text}` };
    } else if (piece.kind === "reasoning") {
      yield { kind: "text", text: piece.text };
    } else {
      if (open) yield { kind: "text", text: "\n</think>\n\n" };
      open = false;
      yield piece;
    }
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** Event stream with backpressure; writes nothing more once the client has gone. */
export class EventStream {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      connection: "keep-alive",
    });
    exchange.response.flushHeaders();
  }

  /** With a name for the dialects that send `event:` lines. */
  async send(data: unknown, name?: string): Promise<void> {
    const { response, signal } = this.#exchange;
    if (response.destroyed) return;
    const text = typeof data === "string" ? data : JSON.stringify(data);
    if (response.write(`${name === undefined ? "" : `event: ${name}\n`}data: ${text}\n\n`)) return;
    await once(response, "drain", { signal }).catch(() => {});
  }

  end(): void {
    this.#exchange.response.end();
  }
}

/** Runs a streamed answer; a failure after the first byte becomes an error event and a clean end. */
export async function streamed(exchange: Exchange, write: (events: EventStream) => Promise<void>): Promise<void> {
  const events = new EventStream(exchange);
  try {
    await write(events);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await events.send({ error: { message }, message }, "error");
  }
  events.end();
}
