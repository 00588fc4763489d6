import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Series } from "../../../../proxy/seeing/series.ts";
import { failureOf, knowsQwen, newYear, recordOf } from "./records.ts";

const later = (seconds: number) => newYear + seconds * 1000;
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
const tokens = (output: number) => ({ input: 1, output, cached: 0, reasoning: 0 });

describe("the last fifteen minutes", () => {
  it("show tokens a second while they came, not when the answer ended", () => {
    const series = new Series(knowsQwen());
    // 30 s of answer, 3 tokens a second, from second 5 to second 35.
    series.finished(recordOf({ at: later(0), firstTokenMs: 5000, durationMs: 35_000, tokens: tokens(90) }));
    const snapshot = series.snapshot(later(45));
    expect(snapshot).toMatchObject({ bucketSeconds: 10, end: "2026-01-01T00:00:40.000Z" });
    const [qwen] = snapshot.models;
    expect(qwen?.model).toBe("qwen");
    expect(qwen?.tokensPerSecond).toHaveLength(90);
    expect(qwen?.tokensPerSecond.slice(-5)).toEqual([0, 1.5, 3, 3, 1.5]);
    expect(qwen?.firstTokenMs.slice(-5)).toEqual([null, 5000, null, null, null]);
  });

  it("show the mean time to first token of each ten seconds", () => {
    const series = new Series(knowsQwen());
    for (const firstTokenMs of [100, 300]) series.finished(recordOf({ firstTokenMs }));
    expect(series.snapshot(later(10)).models[0]?.firstTokenMs.at(-1)).toBe(200);
  });

  it("leave out a model that has been quiet for longer", () => {
    const series = new Series(knowsQwen());
    series.finished(recordOf());
    expect(series.snapshot(later(900)).models).toHaveLength(1);
    expect(series.snapshot(later(911)).models).toEqual([]);
  });

  it("forget what is older when its place is used again", () => {
    const series = new Series(knowsQwen());
    series.finished(recordOf({ tokens: tokens(1000) }));
    series.finished(recordOf({ at: later(910), tokens: tokens(10) }));
    series.finished(recordOf({ tokens: tokens(1000) }));
    const [qwen] = series.snapshot(later(920)).models;
    expect(sum(qwen?.tokensPerSecond ?? []) * 10).toBeCloseTo(10);
  });

  it("lose no token of any answer that lies within them", () => {
    const answer = fc.record({
      start: fc.integer({ min: 0, max: 700_000 }),
      durationMs: fc.integer({ min: 0, max: 190_000 }),
      output: fc.integer({ min: 1, max: 5000 }),
      first: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1, maxLength: 20 }), (answers) => {
        const series = new Series(knowsQwen());
        for (const { start, durationMs, output, first } of answers) {
          const firstTokenMs = durationMs * first;
          series.finished(recordOf({ at: newYear + start, durationMs, firstTokenMs, tokens: tokens(output) }));
        }
        const shown = sum(series.snapshot(later(899)).models[0]?.tokensPerSecond ?? []) * 10;
        expect(shown).toBeCloseTo(sum(answers.map(({ output }) => output)), 3);
      }),
    );
  });

  it("show of an answer longer than them the part that lies in them", () => {
    const series = new Series(knowsQwen());
    series.finished(recordOf({ at: later(-3600), durationMs: 3_600_000, firstTokenMs: 0, tokens: tokens(36_000) }));
    const [qwen] = series.snapshot(later(0)).models;
    expect(new Set(qwen?.tokensPerSecond.map((one) => Math.round(one)))).toEqual(new Set([10]));
  });

  it("can be sent as JSON", () => {
    const series = new Series(knowsQwen());
    series.finished(recordOf());
    series.finished(failureOf());
    const snapshot = series.snapshot(later(60));
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});

describe("the recent errors", () => {
  it("say when, which model, what and how to mend it, the latest first", () => {
    const series = new Series(knowsQwen());
    series.finished(failureOf());
    series.finished(failureOf({ code: "queue_full", at: later(10), model: "made-up" }));
    expect(series.snapshot(later(20)).recentErrors).toMatchObject([
      { code: "queue_full", model: "other", at: "2026-01-01T00:00:11.000Z", times: 1 },
      { code: "upstream_down", model: "qwen", status: 503, message: "LM Studio does not answer. Start it." },
    ]);
  });

  it("tell one that comes again and again once, with its number", () => {
    const series = new Series(knowsQwen());
    series.finished(failureOf({ code: "queue_full" }));
    for (let i = 0; i < 100; i++) series.finished(failureOf({ requestId: `r-${i}` }));
    expect(series.snapshot(later(20)).recentErrors).toMatchObject([
      { code: "upstream_down", times: 100, requestId: "r-99" },
      { code: "queue_full", times: 1 },
    ]);
  });

  it("are twenty at most", () => {
    const series = new Series(knowsQwen());
    for (let i = 0; i < 50; i++) series.finished(failureOf({ code: i % 2 === 0 ? "queue_full" : "upstream_down" }));
    expect(series.snapshot(later(20)).recentErrors).toHaveLength(20);
  });
});
