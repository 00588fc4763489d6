/**
 * What LM Studio's errors mean for who asked. Its statuses do not say it: an engine that broke down is a 400, a template that refuses the
 * conversation a 500, and what comes in a stream has no status at all. So it is read from the words.
 */
import { parsed } from "../unknown-json.ts";
import { Fault } from "./fault.ts";

/**
 * The prompt, or the answer on top of it, has no room. As LM Studio's engines say it, and llama.cpp below them:
 * "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5453>= n_ctx: 4096)" (opencode #2259),
 * "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)" (opencode #11141), "Trying to keep the first 10136 tokens when context the overflows.
 * However, the model is loaded with context length of only 7866 tokens" (lmstudio-bug-tracker #546), "Input does not fit in context length. The input has
 * 31430 tokens" (goose #11318), "Context size has been exceeded." (lmstudio-bug-tracker #2339), "Reached context length of 4096 tokens",
 * "request (25837 tokens) exceeds the available context size (25088 tokens)" with the type `exceed_context_size_error` (llama.cpp #15780).
 */
const noRoom = [
  /context_length_exceeded|exceed_context_size/,
  /n_keep\b.{0,60}\bn_ctx/i,
  /(?:exceeds?|greater than|longer than|fit in(?:to)?|reached) (?:the )?(?:\w+ )?(?:\w+ )?context (?:length|size|window)/i,
  /context (?:length|size|window) (?:has been |was |is )?(?:exceeded|of only)/i,
  /context the overflows|maximum context length/i,
];

/** Asked again, the same request would end the same way. */
const lasting = [
  /jinja|chat template|rendering prompt|system message|roles must alternate/i,
  /parse grammar|initialize samplers/i,
];

/** The engine or the model, not the request: lmstudio-bug-tracker #1347 (crashed), #1492 (unloaded), #2182 (output that its own parser refuses). */
const passing = [
  /crashed|unloaded|channel error|operation cancell?ed/i,
  /predict stream returned an error|decode\(\) failed|bad alloc|compute error/i,
  /still loading|loading model|being loaded/i,
];

/** Codes that say more than the words beside them. */
const tellingCode = /^(?:context_length_exceeded|exceed_context_size_error|model_not_found)$/;

/** Of a model that the host declares: between a restart of LM Studio and the load that its supervisor then asks for. */
const notLoadedYet = /model.{0,200}\bnot (?:found|loaded)|no models? (?:is |are )?loaded|model_not_found/is;

const retrySeconds = 2;
const longestWords = 1_000;
const noWords = "it gave no reason";

/** `status` is LM Studio's own, absent where it said so with status 200 or in a stream. */
export function lmStudioFault(words: string, status?: number, isDeclared = false): Fault {
  const says = (list: readonly RegExp[]) => list.some((said) => said.test(words));
  const how = status === undefined ? "reported an error" : `refused the request with status ${status}`;
  const message = `LM Studio ${how}: ${words}`;
  if (says(noRoom)) return new Fault(400, "context_length_exceeded", message);
  if (says(lasting)) return new Fault(400, "invalid_request", message);
  if (says(passing) || (isDeclared && notLoadedYet.test(words)) || status === 429 || status === 503)
    return new Fault(503, "upstream_error", message, { retryAfter: retrySeconds });
  if (status !== undefined && status < 500) return new Fault(400, "invalid_request", message);
  return new Fault(502, "upstream_error", message);
}

/** LM Studio reports some errors with status 200; the status here is the one they should have had. */
export function errorInSuccess(words: string): Fault {
  if (/^Unexpected endpoint/i.test(words))
    return new Fault(404, "unknown_path", `LM Studio does not have this endpoint: ${words}`);
  return lmStudioFault(words);
}

/**
 * A refusal for a client whose retries go by the status: Codex shows the message of a 400 at once, asks again after any other, and hides that of
 * a 500. A number is the status under which LM Studio's own body is good enough.
 */
export function refusalFor(status: number, body: Buffer, isDeclared?: boolean): Fault | number {
  const said = parsed(body.toString());
  const words = errorWords(said) ?? (body.toString("utf8", 0, longestWords).trim() || noWords);
  const fault = lmStudioFault(words, status, isDeclared);
  const { error } = (said ?? {}) as { readonly error?: { readonly message?: unknown } };
  return fault.code === "invalid_request" && typeof error?.message === "string" ? fault.status : fault;
}

/**
 * LM Studio does not have a model that the host declares: it will have it. A client of any dialect is told to come again, since its request is right. Undefined
 * for every other refusal.
 */
export function notLoadedFault(status: number, body: Buffer): Fault | undefined {
  const words = status === 404 ? errorWords(parsed(body.toString())) : undefined;
  return words !== undefined && notLoadedYet.test(words) ? lmStudioFault(words, status, true) : undefined;
}

/** A heartbeat had opened a stream before LM Studio refused: its status can no longer be the answer's. */
export function refusalAfterHead(status: number, body: Buffer, isDeclared?: boolean): Fault {
  const words = errorWords(parsed(body.toString()));
  if (status >= 300) return lmStudioFault(words ?? noWords, status, isDeclared);
  return words === undefined ? unstreamed() : errorInSuccess(words);
}

export function unstreamed(): Fault {
  return new Fault(502, "upstream_error", "LM Studio answered with a whole document where a stream was asked for.");
}

/** The words of a body that holds an error and nothing else. */
export function errorAlone(body: Buffer): string | undefined {
  const said = parsed(body.toString());
  return typeof said === "object" && said !== null && Object.keys(said).length === 1 && "error" in said
    ? errorWords(said)
    : undefined;
}

/** As LM Studio prints it: `{"error": "…"}`, `{"error": {"message": "…"}}`, in a stream `{"message": "…"}` beside it. */
export function errorWords(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { error, message } = value as { readonly error?: unknown; readonly message?: unknown };
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null) return typeof message === "string" ? message : undefined;
  const { message: inner, type, code } = error as Record<"message" | "type" | "code", unknown>;
  if (typeof inner !== "string") return JSON.stringify(error);
  const kind = [code, type].find((word) => typeof word === "string" && tellingCode.test(word));
  return kind === undefined ? inner : `${inner} (${kind})`;
}
