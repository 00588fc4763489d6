/**
 * Asks the endpoint from the operator's side, as a client does. Reads `{baseUrl, models, key}` on stdin, prints one JSON line. Not to reach the host
 * from here is no fault of the deployment (a firewall, loopback only) and is said in words; an answer that is wrong is one.
 */
import { text } from "node:stream/consumers";

export interface ProofRequest {
  readonly baseUrl: string;
  readonly models: readonly { readonly id: string; readonly thinking: "off" | "on" | "client" }[];
  readonly key?: string;
}

export interface ProofResult {
  readonly ok: boolean;
  readonly reached: boolean;
  readonly words: string;
}

/** Of one request: a cold prompt on a large model takes a while. */
const patienceMs = 180_000;

interface Answer {
  readonly output?: readonly { readonly type: string; readonly content?: readonly { readonly text?: string }[] }[];
  readonly usage?: { readonly output_tokens_details?: { readonly reasoning_tokens?: number } };
  readonly error?: { readonly message?: string } | null;
}

export async function proveEndpoint({ baseUrl, models, key }: ProofRequest): Promise<ProofResult> {
  for (const { id, thinking } of models) {
    // A model that may think needs room to come to its answer.
    const asked = await ask(baseUrl, id, thinking === "off" ? 64 : 1024, key);
    if ("away" in asked)
      return { ok: true, reached: false, words: `${baseUrl} could not be reached from this machine (${asked.away})` };
    const words = proofFault(baseUrl, id, thinking, asked);
    if (words !== null) return { ok: false, reached: true, words };
  }
  if (models.length === 0) return { ok: true, reached: true, words: "no model is declared, so nothing was asked" };
  return { ok: true, reached: true, words: `${baseUrl} answers for ${models.map(({ id }) => id).join(", ")}` };
}

interface Answered {
  readonly status: number;
  readonly answer: Answer;
}

/** What is wrong with an answer, in words; null when it proves what was declared. */
function proofFault(baseUrl: string, id: string, thinking: string, { status, answer }: Answered): string | null {
  const { error, output = [], usage } = answer;
  if (status !== 200 || error) return `${baseUrl} answered ${status} for ${id}: ${error?.message ?? "no message"}`;
  const tokens = usage?.output_tokens_details?.reasoning_tokens ?? 0;
  if (thinking === "off" && (tokens > 0 || output.some(({ type }) => type === "reasoning")))
    return `${id} thinks (${tokens} reasoning tokens) although thinking is off, asked at ${baseUrl}`;
  const said = output.some(
    ({ type, content }) => type === "message" && content?.some(({ text: words }) => words?.trim()),
  );
  return said ? null : `${baseUrl} answered without any text for ${id}`;
}

async function ask(
  baseUrl: string,
  model: string,
  tokens: number,
  key: string | undefined,
): Promise<{ away: string } | Answered> {
  const body = JSON.stringify({ model, input: "Answer with the word ready.", max_output_tokens: tokens });
  const headers = { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) };
  let response: Response;
  try {
    response = await fetch(`${baseUrl}/responses`, {
      method: "POST",
      headers,
      body,
      signal: AbortSignal.timeout(patienceMs),
    });
  } catch (error) {
    // Never its message: fetch quotes a header that it refuses, and the key is one.
    const { cause, name } = error as Error & { cause?: { code?: string } };
    return { away: cause?.code ?? name };
  }
  const answer = (await response.json().catch(() => ({}))) as Answer;
  return { status: response.status, answer };
}

if (import.meta.main) {
  const result = await proveEndpoint(JSON.parse(await text(process.stdin)) as ProofRequest);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (!result.ok || !result.reached) process.stderr.write(`${result.words}\n`);
  process.exitCode = result.ok ? 0 : 1;
}
