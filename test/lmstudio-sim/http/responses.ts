/** `/v1/responses`: stateful, strict about tools, with the event set that LM Studio documents and others have seen. */
import { randomBytes } from "node:crypto";
import type { Message, Piece } from "../engine/engine.ts";
import type { Traps } from "../traps.ts";
import { checkFields, responsesMessages, responsesTools, toolChoice } from "./conversation.ts";
import { begin, type EventStream, type Exchange, type Run, sendJson, streamed, type Usage } from "./exchange.ts";
import { RequestRefused } from "./refusal.ts";

const newId = (prefix: string): string => `${prefix}${randomBytes(16).toString("hex")}`;

type Item = Record<string, unknown> & { readonly type: string; readonly id: string };

/** Conversations by response id, for `previous_response_id`. */
export class ResponseStore {
  readonly #conversations = new Map<string, Message[]>();

  get(id: string): Message[] {
    const known = this.#conversations.get(id);
    if (known === undefined)
      throw new RequestRefused(
        400,
        `Previous response with id '${id}' not found.`,
        "previous_response_id",
        "previous_response_not_found",
      );
    return known;
  }

  put(id: string, messages: Message[]): void {
    this.#conversations.set(id, messages);
  }
}

export async function responses(exchange: Exchange, store: ResponseStore): Promise<void> {
  const { body, traps } = exchange;
  checkFields(body, traps);
  const tools = responsesTools(body, traps);
  const previous = typeof body.previous_response_id === "string" ? store.get(body.previous_response_id) : [];
  // Instructions are not inherited along the chain: only what was said is.
  const said = responsesMessages(body, traps);
  const system = said.filter((message) => message.role === "system");
  const messages = [...system, ...previous, ...said.filter((message) => message.role !== "system")];
  const maxTokens = typeof body.max_output_tokens === "number" ? body.max_output_tokens : null;
  const choice = toolChoice(body, traps);
  const run = await begin(exchange, { dialect: "responses", messages, tools, toolChoice: choice, maxTokens });
  const head = envelope(exchange, run);
  const finished = (output: Item[]): unknown => {
    if (body.store !== false)
      store.put(head.id, [
        ...messages.filter((message) => message.role !== "system"),
        ...output.filter((item) => item.type !== "reasoning").map(asMessage),
      ]);
    const incomplete = run.usage.finish === "length";
    return {
      ...head,
      completed_at: incomplete ? null : Math.floor(Date.now() / 1000),
      status: incomplete ? "incomplete" : "completed",
      incomplete_details: incomplete ? { reason: "max_output_tokens" } : null,
      output,
      usage: responsesUsage(run.usage, traps),
    };
  };
  if (body.stream === true) {
    await streamed(exchange, async (events) => {
      const numbered = numberedEvents(events);
      await numbered("response.created", { response: { ...head, status: "in_progress", output: [] } });
      await numbered("response.in_progress", { response: { ...head, status: "in_progress", output: [] } });
      const output = await writeItems(run.pieces, numbered);
      if (exchange.signal.aborted) return;
      await numbered(run.usage.finish === "length" ? "response.incomplete" : "response.completed", {
        response: finished(output),
      });
    });
    return;
  }
  const output = await writeItems(run.pieces, async () => {});
  if (!exchange.signal.aborted) sendJson(exchange.response, 200, finished(output));
}

/** As LM Studio answers since it follows Open Responses (0.3.39; a whole answer is shown in lmstudio-bug-tracker #1420): every member is there. */
function envelope(exchange: Exchange, run: Run) {
  const { body } = exchange;
  return {
    id: newId("resp_"),
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    completed_at: null as number | null,
    incomplete_details: null as unknown,
    usage: null as unknown,
    model: run.instance.identifier,
    error: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null, ...(body.reasoning as object | undefined) },
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: ((body.tools ?? []) as object[]).map((tool) => ({
      description: null,
      parameters: null,
      strict: null,
      ...tool,
    })),
    top_p: body.top_p ?? 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: 0,
    max_tool_calls: null,
    background: false,
    service_tier: "default",
    safety_identifier: null,
    prompt_cache_key: null,
    truncation: "disabled",
    metadata: body.metadata ?? {},
  };
}

type Emit = (type: string, data: Record<string, unknown>) => Promise<void>;

function numberedEvents(events: EventStream): Emit {
  let number = 0;
  return async (type, data) => {
    await events.send({ type, ...data, sequence_number: number }, type);
    number += 1;
  };
}

/** Consecutive pieces of one kind make one output item. */
async function writeItems(pieces: AsyncIterable<Piece>, emit: Emit): Promise<Item[]> {
  const output: Item[] = [];
  let open: TextItem | null = null;
  for await (const piece of pieces) {
    if (open !== null && open.kind !== piece.kind) {
      output.push(await open.close());
      open = null;
    }
    if (piece.kind === "tool") {
      output.push(await writeCall(piece, output.length, emit));
      continue;
    }
    if (open === null) {
      open = new TextItem(piece.kind, output.length, emit);
      await open.begin();
    }
    await open.add(piece.text);
  }
  if (open !== null) output.push(await open.close());
  return output;
}

/** Arguments arrive whole: LM Studio sends `.done` without any `.delta` before it. */
async function writeCall(piece: Extract<Piece, { kind: "tool" }>, index: number, emit: Emit): Promise<Item> {
  const item: Item = {
    type: "function_call",
    id: newId("fc_"),
    call_id: newId("call_"),
    name: piece.name,
    arguments: piece.arguments,
    status: "completed",
  };
  await emit("response.output_item.added", {
    output_index: index,
    item: { ...item, arguments: "", status: "in_progress" },
  });
  await emit("response.function_call_arguments.done", {
    item_id: item.id,
    output_index: index,
    name: piece.name,
    arguments: piece.arguments,
  });
  await emit("response.output_item.done", { output_index: index, item });
  return item;
}

class TextItem {
  readonly kind: "text" | "reasoning";
  readonly #index: number;
  readonly #emit: Emit;
  readonly #id: string;
  #text = "";

  constructor(kind: "text" | "reasoning", index: number, emit: Emit) {
    this.kind = kind;
    this.#index = index;
    this.#emit = emit;
    this.#id = newId(kind === "text" ? "msg_" : "rs_");
  }

  get #part(): Record<string, unknown> {
    return this.kind === "text"
      ? { type: "output_text", text: this.#text, annotations: [], logprobs: [] }
      : { type: "reasoning_text", text: this.#text };
  }

  #item(status: string, content: unknown[]): Item {
    return this.kind === "text"
      ? { type: "message", id: this.#id, role: "assistant", status, content }
      : { type: "reasoning", id: this.#id, summary: [], content, status };
  }

  get #place(): Record<string, unknown> {
    return { item_id: this.#id, output_index: this.#index, content_index: 0 };
  }

  get #event(): string {
    return this.kind === "text" ? "response.output_text" : "response.reasoning_text";
  }

  async begin(): Promise<void> {
    await this.#emit("response.output_item.added", { output_index: this.#index, item: this.#item("in_progress", []) });
    await this.#emit("response.content_part.added", { ...this.#place, part: this.#part });
  }

  async add(text: string): Promise<void> {
    this.#text += text;
    await this.#emit(`${this.#event}.delta`, {
      ...this.#place,
      delta: text,
      ...(this.kind === "text" ? { logprobs: [] } : {}),
    });
  }

  async close(): Promise<Item> {
    await this.#emit(`${this.#event}.done`, {
      ...this.#place,
      text: this.#text,
      ...(this.kind === "text" ? { logprobs: [] } : {}),
    });
    await this.#emit("response.content_part.done", { ...this.#place, part: this.#part });
    const item = this.#item("completed", [this.#part]);
    await this.#emit("response.output_item.done", { output_index: this.#index, item });
    return item;
  }
}

function asMessage(item: Item): Message {
  if (item.type === "function_call")
    return { role: "assistant", text: `${String(item.name)}(${String(item.arguments)})` };
  const content = (item.content ?? []) as { text?: string }[];
  return { role: "assistant", text: content.map((part) => part.text ?? "").join("") };
}

const responsesUsage = (usage: Usage, traps: Traps): unknown => ({
  input_tokens: usage.prompt,
  input_tokens_details: traps.bareUsage ? {} : { cached_tokens: 0 },
  output_tokens: usage.output,
  output_tokens_details: traps.bareUsage ? {} : { reasoning_tokens: usage.reasoning },
  ...(traps.bareUsage ? {} : { total_tokens: usage.prompt + usage.output }),
});
