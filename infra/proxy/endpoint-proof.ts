/**
 * Proves the endpoint from the operator's side, as a client uses it. Reads `{baseUrl, models, key}` on stdin, prints one JSON line, progress on stderr.
 * Not to reach the host from here is no fault of the deployment (a firewall, loopback only) and is said in words; an answer that is wrong is one.
 */
import { text } from "node:stream/consumers";
import type { Ask } from "../spec/proof/ask.ts";
import type { Chunk, ProvedModel } from "../spec/proof/dialect.ts";
import { failureOf, type ModelProof, summaryOf } from "../spec/proof/finding.ts";
import { proveModel } from "../spec/proof/prove-model.ts";

export interface ProofRequest {
  /** Ends in `/v1`; the other endpoints lie beside it. */
  readonly baseUrl: string;
  readonly models: readonly ProvedModel[];
  readonly key?: string;
}

export interface ProofResult {
  readonly ok: boolean;
  readonly reached: boolean;
  readonly words: string;
  readonly proofs: readonly ModelProof[];
}

/** Of one model. */
const withinMs = 600_000;
/** The host's own proof has shown the whole context; this shows that the way from here lets long prompts through. */
const contextMs = 3_000;

export async function proveEndpoint(
  { baseUrl, models, key }: ProofRequest,
  say: (line: string) => void = () => {},
): Promise<ProofResult> {
  const proofs: ModelProof[] = [];
  let away: string | undefined;
  let reached = false;
  const asked = askAt(baseUrl.replace(/\/v1$/, ""), key);
  const ask: Ask = async (...question) => {
    try {
      const reply = await asked(...question);
      reached = true;
      return reply;
    } catch (error) {
      if (!reached) away = (error as Error).message;
      throw error;
    }
  };
  for (const model of models) {
    const now = () => performance.now();
    const proof = await proveModel(model, { ask, depth: "full", direct: false, withinMs, contextMs, say, now });
    if (away !== undefined)
      return { ok: true, reached, words: `${baseUrl} could not be reached from this machine (${away})`, proofs };
    proofs.push(proof);
    const failure = failureOf(proof);
    if (failure !== null) {
      const words = `${baseUrl} does not serve as declared: ${failure.message}\n  next: ${failure.hint}`;
      return { ok: false, reached, words, proofs };
    }
  }
  const told = proofs.map(summaryOf).join("; ");
  return { ok: true, reached: true, words: `${baseUrl} answers for ${told || "no model"}`, proofs };
}

const askAt =
  (root: string, key: string | undefined): Ask =>
  async (path, body, limitMs) => {
    const started = performance.now();
    try {
      const response = await fetch(`${root}${path}`, {
        method: body === null ? "GET" : "POST",
        headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(Math.ceil(limitMs)),
      });
      const chunks: Chunk[] = [];
      const decoder = new TextDecoder();
      for await (const bytes of response.body ?? [])
        chunks.push({ ms: performance.now() - started, text: decoder.decode(bytes, { stream: true }) });
      return { status: response.status, headers: Object.fromEntries(response.headers), chunks };
    } catch (error) {
      // Never its message: fetch quotes a header that it refuses, and the key is one.
      const { cause, name } = error as Error & { cause?: { code?: string } };
      throw new Error(cause?.code ?? name);
    }
  };

if (import.meta.main) {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const result = await proveEndpoint(JSON.parse(await text(process.stdin)) as ProofRequest, say);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (!result.ok || !result.reached) process.stderr.write(`${result.words}\n`);
  process.exitCode = result.ok ? 0 : 1;
}
