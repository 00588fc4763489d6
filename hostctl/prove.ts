/** Asks each declared model through the proxy, as a client would, and judges the answers. */
import type { Change, ProveDocument, Thinking } from "../infra/spec/host-documents.ts";
import { HostFailure } from "./failure.ts";
import type { Host } from "./host.ts";
import { type Answer, send, type Where } from "./http.ts";
import { adminSockets } from "./resources/proxy-files.ts";
import { storeToken } from "./tokens.ts";

export interface Spoken {
  readonly text: string;
  /** Visible reasoning, wherever the answer carries it. */
  readonly reasoning: string;
  readonly reasoningTokens: number;
  readonly model: string;
}

const prompt = "How many prime numbers are there below 10? Answer in one short sentence.";
const answerMs = 180_000;
const itThought = "it thought";
/** The proxy knows three ways of switching thinking off on the chat endpoint. */
const lessons = 2;

const endpoints = {
  "/v1/responses": {
    body: (model: string, tokens: number) => ({ model, input: prompt, max_output_tokens: tokens, store: false }),
    read: readResponses,
  },
  "/v1/chat/completions": {
    body: (model: string, tokens: number) => ({
      model,
      messages: [{ role: "user", content: prompt }],
      max_tokens: tokens,
    }),
    read: readChat,
  },
} as const;

export interface Proof {
  readonly id: string;
  readonly endpoint: string;
  readonly reasoningTokens: number;
  readonly milliseconds: number;
}

export async function prove(
  host: Host,
  document: ProveDocument,
): Promise<{ changes: Change[]; observed: { proofs: Proof[] } }> {
  const [socket] = await adminSockets(host);
  const where: Where = socket === undefined ? { host: "127.0.0.1", port: document.port } : { socketPath: socket };
  const proofs: Proof[] = [];
  for (const { id, thinking } of document.models) {
    for (const [endpoint, { body, read }] of Object.entries(endpoints)) {
      host.say(`proving ${id} on ${endpoint}`);
      // A model that may think needs room to come to its answer.
      const question = body(id, thinking === "off" ? 64 : 1024);
      let answer = await ask(where, endpoint, id, question);
      // The proxy learns from each answer in which the model thought, and asks in another way the next time.
      for (let lesson = 0; lesson < lessons && judge(answer, id, thinking, read)?.startsWith(itThought); lesson++)
        answer = await ask(where, endpoint, id, question);
      const fault = judge(answer, id, thinking, read);
      const spoken = parse(answer.body, read);
      if (fault !== null) {
        throw new HostFailure(
          "proof_failed",
          `model ${id} on ${endpoint} (thinking: ${thinking}): ${fault}; the answer was ${excerpt(answer.body)}`,
          "run `npx lmstack status`, or look at the proxy's and LM Studio's logs on the host",
        );
      }
      proofs.push({ id, endpoint, reasoningTokens: spoken?.reasoningTokens ?? 0, milliseconds: answer.milliseconds });
    }
  }
  await storeToken(host, "proof", document.token);
  return { changes: [], observed: { proofs } };
}

async function ask(
  where: Where,
  endpoint: string,
  id: string,
  body: unknown,
): Promise<Answer & { milliseconds: number }> {
  const started = Date.now();
  try {
    return { ...(await send(where, "POST", endpoint, body, answerMs)), milliseconds: Date.now() - started };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new HostFailure(
      "proof_failed",
      `model ${id} on ${endpoint}: the proxy gave no answer (${said})`,
      "look whether the proxy runs on the host",
      error,
    );
  }
}

function judge(
  answer: Answer,
  id: string,
  thinking: Thinking,
  read: (body: ResponsesBody & ChatBody) => Spoken | null,
): string | null {
  if (answer.status !== 200) return `status ${answer.status}`;
  const leaks = Number(answer.headers["x-lmstack-leaks"] ?? 0);
  // The proxy has cut them out, so the text alone does not show it.
  if (thinking === "off" && leaks > 0) return `${itThought}: ${leaks} thoughts were cut out of the answer`;
  return proofFault(id, thinking, parse(answer.body, read));
}

/** What is wrong with an answer; null when it proves what was declared. */
export function proofFault(id: string, thinking: Thinking, spoken: Spoken | null): string | null {
  if (spoken === null) return "not an answer of that endpoint";
  if (spoken.model !== id) return `answered by ${spoken.model || "a model without a name"}`;
  if (spoken.text.trim() === "")
    return `no text came${spoken.reasoningTokens > 0 ? `, only ${spoken.reasoningTokens} tokens of reasoning` : ""}`;
  if (thinking !== "off") return null;
  if (spoken.reasoningTokens > 0) return `${itThought}: ${spoken.reasoningTokens} reasoning tokens instead of 0`;
  if (spoken.reasoning.trim() !== "") return `${itThought}: the answer carries reasoning`;
  return /<\/?think>/.test(spoken.text) ? `${itThought}: the text holds a think tag` : null;
}

interface ResponsesBody {
  readonly model?: string;
  readonly output?: readonly { readonly type?: string; readonly content?: readonly { readonly text?: string }[] }[];
  readonly usage?: { readonly output_tokens_details?: { readonly reasoning_tokens?: number } };
}

export function readResponses(body: ResponsesBody): Spoken | null {
  if (!Array.isArray(body.output)) return null;
  const textOf = (type: string) =>
    (body.output ?? [])
      .filter((item) => item.type === type)
      .flatMap((item) => item.content ?? [])
      .map((part) => part.text ?? "")
      .join("");
  const reasoningTokens = body.usage?.output_tokens_details?.reasoning_tokens ?? 0;
  return { text: textOf("message"), reasoning: textOf("reasoning"), reasoningTokens, model: body.model ?? "" };
}

interface ChatBody {
  readonly model?: string;
  readonly choices?: readonly {
    readonly message?: {
      readonly content?: string | null;
      readonly reasoning_content?: string;
      readonly reasoning?: string;
    };
  }[];
  readonly usage?: { readonly completion_tokens_details?: { readonly reasoning_tokens?: number } };
}

export function readChat(body: ChatBody): Spoken | null {
  const message = body.choices?.[0]?.message;
  if (message === undefined) return null;
  const reasoningTokens = body.usage?.completion_tokens_details?.reasoning_tokens ?? 0;
  return {
    text: message.content ?? "",
    reasoning: message.reasoning_content ?? message.reasoning ?? "",
    reasoningTokens,
    model: body.model ?? "",
  };
}

function parse(body: string, read: (body: ResponsesBody & ChatBody) => Spoken | null): Spoken | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? read(value) : null;
  } catch {
    return null;
  }
}

function excerpt(body: string): string {
  return body.length > 500 ? `${body.slice(0, 500)}…` : body || "empty";
}
