import { describe, expect, it } from "vitest";
import { UsageBook } from "../../../../proxy/seeing/usage-book.ts";
import { failureOf, knowsQwen, newYear, recordOf } from "./records.ts";

describe("the usage report", () => {
  it("adds up requests and tokens of each key and model, with first and last use", () => {
    const book = new UsageBook(knowsQwen(), () => newYear);
    book.finished(recordOf());
    book.finished(recordOf({ at: newYear + 60_000, tokens: { input: 1, output: 9, cached: 0, reasoning: 7 } }));
    book.finished(failureOf({ at: newYear + 30_000 }));
    book.finished(recordOf({ key: "alone", model: "llama" }));
    expect(book.report()).toEqual({
      since: "2026-01-01T00:00:00.000Z",
      at: "2026-01-01T00:00:00.000Z",
      usage: [
        expect.objectContaining({ key: "alone", model: "llama", requests: 1 }),
        {
          key: "team-a",
          model: "qwen",
          requests: 3,
          failed: 1,
          inputTokens: 101,
          outputTokens: 49,
          cachedTokens: 60,
          reasoningTokens: 7,
          firstUse: "2026-01-01T00:00:00.000Z",
          lastUse: "2026-01-01T00:01:00.000Z",
        },
      ],
    });
  });

  it("says under none what nobody's key was accepted for, and leaves out probes", () => {
    const book = new UsageBook(knowsQwen());
    const { key: _, model: __, ...anonymous } = failureOf({ code: "missing_api_key", status: 401 });
    book.finished(anonymous);
    book.finished(recordOf({ path: "/healthz" }));
    expect(book.report().usage).toMatchObject([{ key: "none", model: "none", requests: 1, failed: 1 }]);
  });

  it("stays small, whatever clients name and however many keys come and go", () => {
    const book = new UsageBook(knowsQwen());
    for (let i = 0; i < 20_000; i++) book.finished(recordOf({ key: `key-${i}`, model: `made-up-${i}` }));
    const { usage } = book.report();
    expect(usage.length).toBeLessThanOrEqual(5001);
    expect(usage.reduce((sum, row) => sum + row.requests, 0)).toBe(20_000);
    expect(new Set(usage.map((row) => row.model))).toEqual(new Set(["other"]));
  });
});
