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
  readonly output?: readonly { readonly type: string }[];
  readonly usage?: { readonly output_tokens_details?: { readonly reasoning_tokens?: number } };
  readonly error?: { readonly message?: string };
}

export async function proveEndpoint({ baseUrl, models, key }: ProofRequest): Promise<ProofResult> {
  for (const { id, thinking } of models) {
    const asked = await ask(baseUrl, id, key);
    if ("away" in asked)
      return { ok: true, reached: false, words: `${baseUrl} could not be reached from this machine (${asked.away})` };
    const { status, answer } = asked;
    if (status !== 200) {
      const words = `${baseUrl} answered ${status} for ${id}: ${answer.error?.message ?? "no message"}`;
      return { ok: false, reached: true, words };
    }
    const tokens = answer.usage?.output_tokens_details?.reasoning_tokens ?? 0;
    const thought = tokens > 0 || answer.output?.some(({ type }) => type === "reasoning");
    if (thinking === "off" && thought) {
      return {
        ok: false,
        reached: true,
        words: `${id} thinks (${tokens} reasoning tokens) although thinking is off, asked at ${baseUrl}`,
      };
    }
  }
  return { ok: true, reached: true, words: `${baseUrl} answers for ${models.map(({ id }) => id).join(", ")}` };
}

async function ask(
  baseUrl: string,
  model: string,
  key: string | undefined,
): Promise<{ away: string } | { status: number; answer: Answer }> {
  const body = JSON.stringify({ model, input: "Answer with the word ready.", max_output_tokens: 32 });
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
