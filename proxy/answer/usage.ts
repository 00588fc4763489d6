/** The token counts that LM Studio puts into an answer, in each dialect's form. */
import type { TokenUsage } from "../seeing/record.ts";
import { parsed, recordOf } from "../unknown-json.ts";

/** The counts of a `usage` object, or of native chat's `stats`; undefined when it holds none. */
export function tokenCounts(json: string): Partial<TokenUsage> | undefined {
  const counts = recordOf(parsed(json));
  // Anthropic's input does not hold what came from its caches; ours does, as the other dialects' input.
  const readFromCache = numberOf(counts.cache_read_input_tokens);
  const input = numberOf(counts.input_tokens) ?? numberOf(counts.prompt_tokens);
  const written = numberOf(counts.cache_creation_input_tokens) ?? 0;
  const output =
    numberOf(counts.output_tokens) ?? numberOf(counts.completion_tokens) ?? numberOf(counts.total_output_tokens);
  if (input === undefined && output === undefined) return undefined;
  const cached =
    readFromCache ?? numberOf(recordOf(counts.input_tokens_details ?? counts.prompt_tokens_details).cached_tokens);
  const reasoning =
    numberOf(counts.reasoning_output_tokens) ??
    numberOf(recordOf(counts.output_tokens_details ?? counts.completion_tokens_details).reasoning_tokens);
  return {
    ...(input === undefined ? {} : { input: input + (readFromCache ?? 0) + written }),
    ...(output === undefined ? {} : { output }),
    ...(cached === undefined ? {} : { cached }),
    ...(reasoning === undefined ? {} : { reasoning }),
  };
}

/** Of an answer that took several requests. */
export function summedTokens(one: TokenUsage | undefined, other: TokenUsage | undefined): TokenUsage | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return {
    input: one.input + other.input,
    output: one.output + other.output,
    cached: one.cached + other.cached,
    reasoning: one.reasoning + other.reasoning,
  };
}

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
