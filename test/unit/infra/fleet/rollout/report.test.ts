import { expect, test } from "vitest";
import { begun, emptyJournal, ended, withHosts } from "../../../../../infra/fleet/rollout/journal.ts";
import { historyLines, statusLines } from "../../../../../infra/fleet/rollout/report.ts";

const by = { user: "ada", machine: "desk" };
const hosts = { box1: "B", box2: "B" };
const running = withHosts(
  begun(emptyJournal, { kind: "rollout", revision: "abc", by, at: "2026-11-28T12:00:00Z", hosts }),
  {
    box1: { phase: "proved", wave: 1, canary: true, seconds: 31.4 },
  },
);

test("the state of a rollout tells each host, and what can be done when nobody runs it", () => {
  expect(statusLines(running.rollouts[0], null, [])).toEqual([
    "rollout 1 of abc, by ada on desk at 2026-11-28T12:00:00Z: previewing",
    "WAVE      HOST  STATE    TOOK  WHY",
    "1 canary  box1  proved   31 s",
    "          box2  waiting",
    "it is paused. Next: `npx lmstack fleet rollout --resume` goes on, `npx lmstack fleet abort` takes it back",
  ]);
  const dead = { alive: false, far: false, words: "ada on desk (process 1), last heard of 300 s ago", next: "`it`" };
  expect(statusLines(running.rollouts[0], dead, []).slice(-2)).toEqual([`its runner was ${dead.words}`, "Next: `it`"]);
});

test("the history tells who changed how many hosts, and why it ended as it did", () => {
  const over = ended(running, "returned", "box1 failed", "2026-11-28T12:10:00Z");
  expect(historyLines(over)).toEqual([
    "NO  KIND     BEGUN (UTC)          BY        REVISION  STATE     CHANGED  WHY",
    "1   rollout  2026-11-28 12:00:00  ada@desk  abc       returned  1 of 2   box1 failed",
  ]);
  expect(historyLines(emptyJournal)).toEqual(["there was no rollout yet"]);
});
