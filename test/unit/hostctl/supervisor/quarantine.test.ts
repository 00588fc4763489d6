import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Action, DesiredModel } from "../../../../hostctl/supervisor/decide.ts";
import {
  afterFailure,
  beforeRepair,
  type Course,
  type Failed,
  fresh,
  givenUp,
} from "../../../../hostctl/supervisor/quarantine.ts";

const model: DesiredModel = {
  identifier: "alpha",
  contextLength: 1,
  parallel: 1,
  gpu: "max",
  exactPath: "a/b/c.gguf",
  file: "/c.gguf",
  digest: "d",
};
const load: Action = { do: "load", model, once: false };
const start: Action = { do: "start-daemon" };
const second = 1000;
const minute = 60 * second;
const why = { code: "daemon_failed", reason: "it did not start", hint: "look" } as const;

function failTimes(times: number, action: Action, reason = why, at = 0): Failed {
  let failed = afterFailure(undefined, action, reason, at);
  for (let count = 1; count < times; count++) failed = afterFailure(failed, action, reason, at);
  return failed;
}

describe("what fails", () => {
  test("is tried again soon at first, then less and less often", () => {
    const waits = [1, 2, 3, 4].map((times) => failTimes(times, start).retryAt / second);
    expect(waits).toEqual([2, 4, 8, 16]);
  });

  test("is not tried again where what served before can serve on: a change, and a load that has something to return to", () => {
    const change: Action = { do: "swap", model, from: "alpha", because: "declared anew" };
    expect(givenUp(failTimes(1, change))).toBe(true);
    expect(givenUp(failTimes(1, { ...load, once: true }))).toBe(true);
    expect(givenUp(failTimes(1, load))).toBe(false);
  });

  test("is quarantined after five failures: it says so, why, and when it is tried next", () => {
    const failed = failTimes(5, start, why, Date.parse("2026-11-28T10:00:00Z"));
    expect(failed.retryAt).toBe(Date.parse("2026-11-28T10:05:00Z"));
    expect(failed.reason).toBe(
      "it did not start (quarantined: tried again every 5 minutes, next at 10:05:00 UTC, or by `up`)",
    );
    expect(givenUp(failed)).toBe(false);
  });

  test("is told with one reason, however often it fails in quarantine", () => {
    const once = failTimes(5, start);
    const again = afterFailure(once, start, { ...why, reason: once.reason }, 5 * minute);
    expect(again.reason.match(/quarantined/g)).toHaveLength(1);
    expect(again.retryAt).toBe(10 * minute);
  });

  test("is given up when it is a load, which costs the other models, until it is declared anew", () => {
    expect(givenUp(failTimes(4, load))).toBe(false);
    expect(givenUp(failTimes(5, load))).toBe(true);
  });

  test("is tried on and on when a look costs nothing: a port that somebody else has", () => {
    const taken = { code: "port_in_use", reason: "taken", hint: "end it" } as const;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (times) => {
        let failed = afterFailure(undefined, { do: "start-server" }, taken, 0);
        for (let count = 1; count < times; count++)
          failed = afterFailure(failed, { do: "start-server" }, taken, failed.retryAt);
        const again = afterFailure(failed, { do: "start-server" }, taken, failed.retryAt);
        expect(again.retryAt - failed.retryAt).toBeLessThanOrEqual(16 * second);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a repair that succeeds", () => {
  /** Repairs at these times, each of which succeeded at once. */
  const repair = (times: readonly number[]) => {
    let course: Course = fresh;
    for (const now of times) {
      const step = beforeRepair(course, "starting LM Studio's daemon", now);
      if (step.quarantined !== null) return step.quarantined;
      course = { ...step.course, doneAt: now };
    }
    return null;
  };
  const every = (ms: number, count: number) => Array.from({ length: count }, (_, index) => index * ms);

  test("is quarantined when its effect was gone within a minute, five times in five minutes", () => {
    expect(repair(every(20 * second, 5))).toBeNull();
    const quarantined = repair(every(20 * second, 6));
    expect(quarantined).toMatchObject({ count: 5, retryAt: 100 * second + 5 * minute });
    expect(quarantined?.reason).toMatch(/starting LM Studio's daemon was needed again and again.*5 times in 5 minutes/);
    expect(quarantined?.reason).toContain("quarantined");
  });

  test("is never held against a host on which each lasted a minute, however many there were", () => {
    expect(repair(every(minute, 50))).toBeNull();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: minute, max: 10 * minute }), { maxLength: 50 }), (gaps) => {
        let now = 0;
        const times = gaps.map((gap) => {
          now += gap;
          return now;
        });
        expect(repair(times)).toBeNull();
      }),
    );
  });

  test("is forgiven what lies more than five minutes back", () => {
    const times = [0, 10, 20, 30, 400, 410, 420, 430].map((at) => at * second);
    expect(repair(times)).toBeNull();
  });

  test("is tried anew after its quarantine, with nothing held against it", () => {
    const step = beforeRepair({ doneAt: 99, relapses: [1, 2, 3, 4] }, "it", 100);
    expect(step.quarantined).not.toBeNull();
    expect(step.course).toEqual(fresh);
  });
});
