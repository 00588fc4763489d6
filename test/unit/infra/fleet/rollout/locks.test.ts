import { describe, expect, test } from "vitest";
import { failureWords } from "../../../../../infra/fleet/rollout/automation.ts";
import type { Here } from "../../../../../infra/fleet/rollout/lease.ts";
import { areLeft, type Lock, locksIn, lockWords } from "../../../../../infra/fleet/rollout/locks.ts";

const refusal = `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.
  file:///state/.pulumi/locks/organization/lmstack/box1/7c.json: created by ada@desk (pid 4711) at 2026-11-28T12:00:00Z`;
const lock: Lock = { user: "ada", machine: "desk", pid: 4711, since: "2026-11-28T12:00:00Z" };
const at = (machine: string, ...running: number[]): Here => ({ machine, runs: (pid) => running.includes(pid) });
const former = { id: "1", user: "ada", machine: "desk", pid: 4700, heartbeat: "2026-11-28T12:00:00Z" };

describe("a lock that Pulumi left", () => {
  test("is read out of what Pulumi says", () => {
    expect(locksIn(refusal)).toEqual([lock]);
    expect(lockWords("box1", [lock])).toMatch(
      /box1 is locked by ada on desk \(process 4711\).*pulumi cancel --stack box1.*--resume/,
    );
  });

  test("is taken away when its process of this machine is gone, and never while it runs", () => {
    expect(areLeft([lock], at("desk"), null)).toBe(true);
    expect(areLeft([lock], at("desk", 4711), former)).toBe(false);
    expect(areLeft([lock, { ...lock, pid: 1 }], at("desk", 1), null)).toBe(false);
  });

  test("of another machine is taken away only when that machine's runner was found dead", () => {
    expect(areLeft([lock], at("laptop"), former)).toBe(true);
    expect(areLeft([lock], at("laptop"), null)).toBe(false);
    expect(areLeft([lock], at("laptop"), { ...former, machine: "other" })).toBe(false);
    expect(areLeft([], at("laptop"), former)).toBe(false);
  });
});

describe("why an up failed is told in the words of", () => {
  test("the host", () => {
    const told = `error: running "sh host/on-host.sh": exit status 1\n{"ok":false,"error":{"code":"checksum","message":"m.gguf has another digest","hint":"correct sha256"}}`;
    expect(failureWords([told])).toBe("m.gguf has another digest. Next: correct sha256");
  });

  test("the proof from here", () => {
    expect(failureWords([`error: it\n{"ok":false,"reached":true,"words":"coder thinks","proofs":[]}\n`])).toBe(
      "coder thinks",
    );
  });

  test("the engine, when nobody else said anything", () => {
    expect(failureWords(["error: no plugin found"])).toBe("error: no plugin found");
    expect(failureWords([])).toBeNull();
  });
});
