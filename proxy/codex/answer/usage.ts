/**
 * Token counts that Codex can read: a `usage` without `total_tokens`, or with an empty `*_details`, fails the whole turn, which is then asked again
 * (facts of Codex 0.169: "failed to parse ResponseCompleted").
 */
import { isRecord, type Json } from "./json.ts";

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

/** Of all rounds of an answer. */
export function summedUsage(one: Json | undefined, other: Json | undefined): Json | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const sum: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const before = one[key];
    if (typeof value === "number" && typeof before === "number") sum[key] = before + value;
    else if (isRecord(value)) sum[key] = summedUsage(isRecord(before) ? before : undefined, value);
    else sum[key] ??= value;
  }
  return sum;
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
