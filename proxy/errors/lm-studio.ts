/**
 * What LM Studio's errors mean for who asked. Its statuses do not say it: an engine that broke down is a 400, a template that refuses the
 * conversation a 500, and what comes in a stream has no status at all. So it is read from the words.
 */
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

const retrySeconds = 2;

/** `status` is LM Studio's own, absent in a stream. */
export function lmStudioFault(words: string, status?: number): Fault {
  const says = (list: readonly RegExp[]) => list.some((words_) => words_.test(words));
  const message = `LM Studio ${status === undefined ? "broke off" : `refused the request with status ${status}`}: ${words}`;
  if (says(noRoom)) return new Fault(400, "context_length_exceeded", message);
  if (says(lasting)) return new Fault(400, "invalid_request", message);
  if (says(passing) || status === 503) return new Fault(503, "upstream_error", message, { retryAfter: retrySeconds });
  return status !== undefined && status < 500
    ? new Fault(400, "invalid_request", message)
    : new Fault(502, "upstream_error", message);
}

/** The words of an error as LM Studio prints it: `{"error": "…"}`, `{"error": {"message": "…"}}`, in a stream `{"message": "…"}` beside it. */
export function errorWords(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { error, message } = value as { readonly error?: unknown; readonly message?: unknown };
  if (typeof error === "string") return error;
  if (typeof error === "object" && error !== null) {
    const { message: inner, type } = error as { readonly message?: unknown; readonly type?: unknown };
    if (typeof inner !== "string") return JSON.stringify(error);
    return typeof type === "string" && noRoom[0]?.test(type) ? `${inner} (${type})` : inner;
  }
  return typeof message === "string" ? message : undefined;
}
