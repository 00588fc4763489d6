import { expect, test } from "vitest";
import { judge, requestBars } from "../../../bench/bars.ts";
import type { ContestResult, Sample } from "../../../bench/contest.ts";
import { compared, ratio } from "../../../bench/figures.ts";
import { percentile, spread } from "../../../bench/statistics.ts";

const round = (values: Record<string, number>): Sample => ({ values, errors: 0, firstError: undefined });

function contest(own: readonly Sample[], nginx: readonly Sample[], errors: [string, number][] = []): ContestResult {
  const samples = new Map([
    ["lmstack", own],
    ["nginx", nginx],
  ]);
  return { name: "small", title: "small", samples, errors: new Map(errors) };
}

test("a ratio is the median of the rounds' own ratios, not the ratio of two medians", () => {
  const own = [round({ rps: 100 }), round({ rps: 10 }), round({ rps: 30 })];
  const nginx = [round({ rps: 200 }), round({ rps: 10 }), round({ rps: 100 })];
  expect(compared(contest(own, nginx), "lmstack", "nginx", "rps", ratio)).toBe(0.5);
});

test("a bar falls short by the unrounded value, and when nothing was measured", () => {
  expect(judge("x", 0.649, "x nginx", 2, { atLeast: 0.65 })).toMatchObject({ value: 0.65, ok: false });
  expect(judge("x", 4, "x nginx", 2, { atMost: 4 })).toMatchObject({ ok: true, bar: "at most 4 x nginx" });
  expect(judge("x", null, "ms", 2, { atMost: 4 })).toMatchObject({ ok: false, value: "not measured" });
  expect(judge("x", Number.NaN, "ms", 2, { atMost: 4 }).ok).toBe(false);
});

test("a row with failed requests fails, however fast it is", () => {
  const rounds = [round({ rps: 100, cpu: 1 })];
  const rows = requestBars(contest(rounds, rounds, [["lmstack", 1]]), { rps: 0.65, cpu: 4 });
  expect(rows.map(({ ok }) => ok)).toEqual([true, true, false]);
});

test("percentiles are values that were measured, and a median of an even number lies between two", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});
