/** Asking an endpoint as clients do: what came back, and whether the model thought. */
import { createParser } from "eventsource-parser";
import { request } from "undici";

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly reasoningTokens: number;
  /** Milliseconds until the first token, and until the end. */
  readonly firstTokenMs: number;
  readonly totalMs: number;
}

export interface Question {
  readonly baseUrl: string;
  readonly model: string;
  readonly prompt: string;
  readonly key?: string;
  readonly maxTokens?: number;
  readonly onText?: (text: string) => void;
}

async function post({ baseUrl, model, key }: Question, endpoint: string, body: object) {
  return await request(`${baseUrl}/${endpoint}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify({ model, ...body }),
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

interface ResponsesEvent {
  readonly type: string;
  readonly delta?: string;
  readonly response?: { readonly usage?: { readonly output_tokens_details?: { readonly reasoning_tokens?: number } } };
}

/** Streams an answer from `/responses`, the endpoint that Codex uses. */
export async function askResponses(question: Question): Promise<Answer> {
  const started = performance.now();
  const { statusCode, body } = await post(question, "responses", {
    input: question.prompt,
    stream: true,
    max_output_tokens: question.maxTokens ?? 64,
  });
  if (statusCode !== 200) {
    return {
      status: statusCode,
      text: await body.text(),
      reasoningTokens: 0,
      firstTokenMs: 0,
      totalMs: performance.now() - started,
    };
  }
  let text = "";
  let reasoningTokens = 0;
  let firstTokenMs = 0;
  const parser = createParser({
    onEvent: ({ data }) => {
      const event = JSON.parse(data) as ResponsesEvent;
      if (event.type.includes("reasoning")) reasoningTokens += 1;
      if (event.type === "response.output_text.delta") {
        firstTokenMs ||= performance.now() - started;
        text += event.delta ?? "";
        question.onText?.(event.delta ?? "");
      }
      if (event.type === "response.completed") {
        reasoningTokens = event.response?.usage?.output_tokens_details?.reasoning_tokens ?? reasoningTokens;
      }
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
  return { status: statusCode, text, reasoningTokens, firstTokenMs, totalMs: performance.now() - started };
}

interface ChatAnswer {
  readonly choices: readonly { readonly message: { readonly content: string; readonly reasoning_content?: string } }[];
  readonly usage?: { readonly completion_tokens_details?: { readonly reasoning_tokens?: number } };
}

export async function askChat(question: Question): Promise<Answer> {
  const started = performance.now();
  const { statusCode, body } = await post(question, "chat/completions", {
    messages: [{ role: "user", content: question.prompt }],
    max_tokens: question.maxTokens ?? 64,
  });
  const text = await body.text();
  const totalMs = performance.now() - started;
  if (statusCode !== 200) return { status: statusCode, text, reasoningTokens: 0, firstTokenMs: totalMs, totalMs };
  const answer = JSON.parse(text) as ChatAnswer;
  return {
    status: statusCode,
    text: answer.choices[0]?.message.content ?? "",
    reasoningTokens:
      answer.usage?.completion_tokens_details?.reasoning_tokens ??
      answer.choices[0]?.message.reasoning_content?.length ??
      0,
    firstTokenMs: totalMs,
    totalMs,
  };
}

/** Status of `/readyz`: 200 when every declared model is loaded, 0 when nobody answers. */
export async function readiness(address: string): Promise<number> {
  try {
    const { statusCode, body } = await request(`http://${address}:8080/readyz`);
    await body.dump();
    return statusCode;
  } catch {
    return 0;
  }
}
