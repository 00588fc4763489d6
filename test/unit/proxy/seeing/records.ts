import { ModelLabels } from "../../../../proxy/seeing/model-label.ts";
import type { RequestRecord } from "../../../../proxy/seeing/record.ts";

/** 2026-01-01T00:00:00Z, which is a whole multiple of ten seconds. */
export const newYear = Date.UTC(2026, 0, 1);

export const knowsQwen = (): ModelLabels => new ModelLabels((model) => model === "qwen" || model === "llama");

/** A streamed answer of one second, whose first token came after 200 ms. */
export function recordOf(changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    requestId: "r-1",
    at: newYear,
    method: "POST",
    path: "/v1/responses",
    endpoint: "/v1/responses",
    model: "qwen",
    key: "team-a",
    status: 200,
    outcome: "complete",
    stream: true,
    durationMs: 1000,
    queueMs: 50,
    firstTokenMs: 200,
    tokens: { input: 100, output: 40, cached: 60, reasoning: 0 },
    requestBytes: 400,
    responseBytes: 900,
    rewritten: ["thinking-off"],
    leaks: 0,
    retried: false,
    ...changes,
  };
}

export function failureOf(changes: Partial<RequestRecord> = {}): RequestRecord {
  const { tokens: _, firstTokenMs: __, queueMs: ___, ...rest } = recordOf();
  const message = "LM Studio does not answer. Start it.";
  return { ...rest, outcome: "failed", status: 503, code: "upstream_down", message, ...changes };
}
