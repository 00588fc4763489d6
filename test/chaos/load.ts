/** A steady load: every model is asked all the time, one question after the other, in turn by a stream of `/responses` and by chat. */
import { setTimeout as delay } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { Agent, type Dispatcher, request } from "undici";
import type { Reply } from "./judge.ts";

const tokens = 30;
const prompt = `sim:tokens=${tokens} sim:pace=25`;
/** What the stand-in answers to that. */
export const rightAnswer = Array.from({ length: tokens }, (_, index) => `word${index + 1}`).join(" ");

interface Target {
  /** Ends with `/v1`. */
  readonly baseUrl: string;
  readonly key: string;
}

export interface SteadyLoad {
  /** Those that have ended since the last call, oldest first. */
  take(): Reply[];
  /** Models whose request of now is still without an end after `withinMs`. */
  unanswered(withinMs: number): Promise<string[]>;
  /** Lets what runs come to its end, for 10 s at most. */
  stop(): Promise<void>;
}

export function steadyLoad(target: Target, models: readonly string[]): SteadyLoad {
  const stopped = new AbortController();
  const cut = new AbortController();
  let replies: Reply[] = [];
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 } });
  // By stream: several may ask the same model.
  const running = new Map<number, { readonly model: string; readonly asking: Promise<unknown> }>();
  const one = async (model: string, stream: number): Promise<void> => {
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      const asking = ask(target, model, turn % 2 === 0 ? "responses" : "chat", { dispatcher, signal: cut.signal });
      running.set(stream, { model, asking });
      const reply = await asking;
      if (!cut.signal.aborted) replies.push(reply);
      await delay(200, undefined, { signal: stopped.signal }).catch(() => {});
    }
  };
  const clients = Promise.all(models.map(one));
  return {
    take: () => {
      const taken = replies;
      replies = [];
      return taken;
    },
    unanswered: async (withinMs) => {
      const waiting = new Set(running.values());
      const time = new AbortController();
      const ends = [...waiting].map((one) => one.asking.then(() => waiting.delete(one)));
      await Promise.race([Promise.all(ends), delay(withinMs, undefined, { signal: time.signal }).catch(() => {})]);
      time.abort();
      return [...waiting].map(({ model }) => model);
    },
    stop: async () => {
      stopped.abort();
      const timer = setTimeout(() => cut.abort(), 10_000);
      await clients;
      clearTimeout(timer);
      await dispatcher.destroy();
    },
  };
}

const endpoints = {
  responses: { path: "responses", body: { input: prompt, stream: true, max_output_tokens: 100 } },
  chat: { path: "chat/completions", body: { messages: [{ role: "user", content: prompt }], max_tokens: 100 } },
} as const;

interface Connection {
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
}

/** One question; never rejects. */
export async function ask(
  { baseUrl, key }: Target,
  model: string,
  dialect: keyof typeof endpoints,
  connection: Partial<Connection> = {},
): Promise<Reply> {
  const { path, body } = endpoints[dialect];
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const sent = { headers, body: JSON.stringify({ model, ...body }) };
  return { model, ...(await send(`${baseUrl}/${path}`, sent, connection)) };
}

export interface Answer extends Omit<Reply, "model"> {
  /** Of a whole stream of `/responses`: the items of its output. */
  readonly items: readonly Readonly<Record<string, unknown>>[];
}

/** One request; never rejects. */
export async function send(
  url: string,
  sent: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  connection: Partial<Connection> = {},
): Promise<Answer> {
  const began = Date.now();
  let seen: Seen = nothing;
  try {
    const answer = await request(url, { method: "POST", ...sent, ...connection });
    seen = { ...seen, status: answer.statusCode };
    if (answer.statusCode !== 200) seen = { ...seen, end: "failed", words: await answer.body.text() };
    else if (/event-stream/.test(String(answer.headers["content-type"])))
      for await (const step of readStream(answer.body)) seen = { ...seen, ...step };
    else seen = { ...seen, ...readChat(await answer.body.text()) };
  } catch (error) {
    seen = { ...seen, end: "cut", words: error instanceof Error ? error.message : String(error) };
  }
  return { began, ended: Date.now(), ...seen };
}

type Seen = Omit<Answer, "began" | "ended">;
const nothing: Seen = { status: 0, text: "", thoughts: 0, end: "cut", words: "it ended without an end", items: [] };

interface Chat {
  readonly choices: readonly { readonly message: { readonly content: string; readonly reasoning_content?: string } }[];
  readonly usage?: { readonly completion_tokens_details?: { readonly reasoning_tokens?: number } };
}

function readChat(body: string): Partial<Seen> {
  const { choices, usage } = JSON.parse(body) as Chat;
  const { content = "", reasoning_content } = choices[0]?.message ?? {};
  const thoughts = usage?.completion_tokens_details?.reasoning_tokens ?? reasoning_content?.length ?? 0;
  return { text: content, thoughts, end: "complete", words: "" };
}

interface Event {
  readonly type?: string;
  readonly delta?: string;
  readonly response?: {
    readonly error?: { readonly message?: string } | null;
    readonly output?: Answer["items"];
    readonly usage?: { readonly output_tokens_details?: { readonly reasoning_tokens?: number } } | null;
  };
}

async function* readStream(body: AsyncIterable<unknown>): AsyncGenerator<Partial<Seen>> {
  let text = "";
  let thoughts = 0;
  const found: Partial<Seen>[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      const event = JSON.parse(data) as Event;
      if (event.type === "response.reasoning_text.delta") thoughts += 1;
      if (event.type === "response.output_text.delta") text += event.delta ?? "";
      found.push({ text, thoughts });
      const { usage, error, output } = event.response ?? {};
      if (event.type === "response.completed")
        found.push({
          end: "complete",
          words: "",
          items: output ?? [],
          thoughts: usage?.output_tokens_details?.reasoning_tokens ?? thoughts,
        });
      if (event.type === "response.failed" || event.type === "error")
        found.push({ end: "failed", words: error?.message ?? data });
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    yield* found.splice(0);
  }
}
