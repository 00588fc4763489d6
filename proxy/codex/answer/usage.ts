/**
 * Token counts that Codex can read: a `usage` without `total_tokens`, or with an empty `*_details`, fails the whole turn, which is then asked again
 * (facts of Codex 0.169: "failed to parse ResponseCompleted").
 */
import { isRecord, type Json } from "../../unknown-json.ts";

/** The same object when nothing is wrong with it; undefined when it cannot be used. Chat's names for the counts are understood. */
export function validUsage(usage: unknown): Json | undefined {
  if (!isRecord(usage)) return undefined;
  const input = count(usage.input_tokens) ?? count(usage.prompt_tokens);
  const output = count(usage.output_tokens) ?? count(usage.completion_tokens);
  if (input === undefined || output === undefined) return undefined;
  const inputDetails = details(usage.input_tokens_details, "cached_tokens");
  const outputDetails = details(usage.output_tokens_details, "reasoning_tokens");
  const total = count(usage.total_tokens);
  if (
    total !== undefined &&
    usage.input_tokens === input &&
    usage.output_tokens === output &&
    usage.input_tokens_details === inputDetails &&
    usage.output_tokens_details === outputDetails
  )
    return usage;
  return {
    ...usage,
    input_tokens: input,
    ...(inputDetails === undefined ? {} : { input_tokens_details: inputDetails }),
    output_tokens: output,
    ...(outputDetails === undefined ? {} : { output_tokens_details: outputDetails }),
    total_tokens: total ?? input + output,
  };
}

/**
 * Of an answer that goes on: `last` has the prompt that holds everything before it. Prompts are not added up, because Codex takes the total for what
 * fills the context, and compacts by it (0.169: an answer of three rounds on a small context would always be followed by a compaction).
 */
export function usageOfRounds(earlier: Json | undefined, last: Json | undefined): Json | undefined {
  if (earlier === undefined || last === undefined) return last ?? earlier;
  const output = (earlier.output_tokens as number) + (last.output_tokens as number);
  const thoughts = [earlier, last].map(({ output_tokens_details: of }) => (isRecord(of) ? of.reasoning_tokens : 0));
  const reasoning = thoughts.reduce<number>((sum, each) => sum + (count(each) ?? 0), 0);
  return {
    ...last,
    output_tokens: output,
    ...(isRecord(last.output_tokens_details) && {
      output_tokens_details: { ...last.output_tokens_details, reasoning_tokens: reasoning },
    }),
    total_tokens: (last.input_tokens as number) + output,
  };
}

/** Absent and null are fine; an object has to hold its count. */
function details(value: unknown, key: string): unknown {
  if (value === undefined || value === null) return value;
  return isRecord(value) && count(value[key]) !== undefined ? value : { ...(isRecord(value) ? value : {}), [key]: 0 };
}

/** Whole: Codex reads integers. */
function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
