import type { RequestRecord } from "./record.ts";

/** Reasoning tokens that LM Studio counted although the proxy had switched thinking off in this request. */
export function unwantedReasoning(record: RequestRecord): number {
  const reasoning = record.tokens?.reasoning ?? 0;
  return reasoning > 0 && record.rewritten.includes("thinking-off") ? reasoning : 0;
}
