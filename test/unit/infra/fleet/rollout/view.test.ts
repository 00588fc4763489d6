import { afterEach, expect, test, vi } from "vitest";
import { rolloutView } from "../../../../../infra/cli/rollout-view.ts";
import type { Happening } from "../../../../../infra/fleet/rollout/events.ts";

afterEach(() => vi.restoreAllMocks());

function shown(json: boolean, events: readonly (readonly [second: number, Happening])[]): string[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const view = rolloutView(json);
  for (const [second, happening] of events)
    view.show({ at: new Date(Date.UTC(2026, 10, 28, 12, 0, second)).toISOString(), rollout: 3, ...happening });
  return log.mock.calls.map(([line]) => String(line));
}

const words = (host: string, percent: number): Happening => ({ event: "words", host, words: `coder: ${percent} %` });

test("a log hears of a long download every quarter of a minute, and of each host by itself", () => {
  const lines = shown(false, [
    [0, words("box1", 1)],
    [5, words("box1", 2)],
    [6, words("box2", 3)],
    [15, words("box1", 4)],
    [16, { event: "host-ended", host: "box1", phase: "proved", seconds: 16, why: null }],
  ]);
  expect(lines).toEqual([
    "12:00:00 box1: coder: 1 %",
    "12:00:06 box2: coder: 3 %",
    "12:00:15 box1: coder: 4 %",
    "12:00:16 box1: proved after 16 s",
  ]);
});

test("a program gets every event, one document a line", () => {
  const events = shown(true, [
    [0, words("box1", 1)],
    [1, words("box1", 2)],
  ]).map((line) => JSON.parse(line));
  expect(events).toEqual([
    { at: "2026-11-28T12:00:00.000Z", rollout: 3, event: "words", host: "box1", words: "coder: 1 %" },
    { at: "2026-11-28T12:00:01.000Z", rollout: 3, event: "words", host: "box1", words: "coder: 2 %" },
  ]);
});
