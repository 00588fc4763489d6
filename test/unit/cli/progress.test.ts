import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { progress } from "../../../infra/cli/progress.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what takes longer than a second says so, and again every ten; what is quick says nothing", async () => {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  await progress("looking", Promise.resolve(), say);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said).toEqual([]);
  const { promise, resolve } = Promise.withResolvers<number>();
  const waiting = progress("looking", promise, say);
  await vi.advanceTimersByTimeAsync(22_000);
  expect(said).toEqual(["looking …", "looking … 11 s", "looking … 21 s"]);
  resolve(7);
  expect(await waiting).toBe(7);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said).toHaveLength(3);
});
