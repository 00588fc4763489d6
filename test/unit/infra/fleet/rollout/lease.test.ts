import { expect, test } from "vitest";
import {
  type Held,
  type Here,
  heartbeatSeconds,
  heldBy,
  silenceSeconds,
} from "../../../../../infra/fleet/rollout/lease.ts";

const heard = Temporal.Instant.from("2026-11-28T12:00:00Z");
const lease = { id: "r1", user: "ada", machine: "desk", pid: 42, heartbeat: heard.toString() };
const here = (machine: string, runs: boolean): Here => ({ machine, runs: (pid) => runs && pid === 42 });
const heldAfter = (seconds: number, place: Here): Held => heldBy(lease, heard.add({ seconds }), place);

test("a runner of this machine that was killed is followed at once", () => {
  const held = heldAfter(1, here("desk", false));
  expect(held.alive).toBe(false);
  expect(held.next).toContain("--resume");
});

test("a runner of this machine that lives is left alone, unless it was silent so long that its number is another's", () => {
  expect(heldAfter(silenceSeconds * 9, here("desk", true)).alive).toBe(true);
  expect(heldAfter(silenceSeconds * 10, here("desk", true)).alive).toBe(false);
});

test("a runner of another machine is followed when it has missed several heartbeats, and not before", () => {
  expect(heldAfter(heartbeatSeconds * 3, here("laptop", false)).alive).toBe(true);
  expect(heldAfter(silenceSeconds, here("laptop", true)).alive).toBe(false);
});

test("who is refused is told by whom, and what can be done", () => {
  const { words, next } = heldAfter(30, here("laptop", false));
  expect(words).toBe("ada on desk (process 42), last heard of 30 s ago");
  expect(next).toMatch(/status.*abort.*--resume.*in 60 s/);
});
