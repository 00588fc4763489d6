import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Slots } from "../../lmstudio-sim/daemon/slots.ts";

test("never more at once than there are slots, first come first served, and those who leave hold nobody up", async () => {
  const step = fc.oneof(fc.constant("arrive" as const), fc.constant("finish" as const), fc.constant("leave" as const));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 40 }), async (limit, steps) => {
      const slots = new Slots(limit);
      const arrived: { readonly number: number; readonly gone: AbortController }[] = [];
      const running: { readonly number: number; readonly release: () => void }[] = [];
      const expected: number[] = [];
      const served: number[] = [];
      for (const [number, what] of steps.entries()) {
        if (what === "arrive") {
          const gone = new AbortController();
          arrived.push({ number, gone });
          expected.push(number);
          void slots.acquire(gone.signal).then((release) => {
            if (release === null) return;
            served.push(number);
            running.push({ number, release });
          });
        }
        if (what === "finish") running.shift()?.release();
        if (what === "leave") {
          const waiting = arrived.findLast((one) => !served.includes(one.number) && !one.gone.signal.aborted);
          waiting?.gone.abort();
          if (waiting !== undefined) expected.splice(expected.indexOf(waiting.number), 1);
        }
        await nextTurn();
        expect(running.length).toBeLessThanOrEqual(limit);
        expect(served).toEqual(expected.slice(0, served.length));
        // Nobody waits while a slot is free.
        expect(running.length === limit || served.length === expected.length).toBe(true);
        expect(slots.queued).toBe(running.length + expected.length - served.length);
      }
    }),
    { numRuns: 60 },
  );
});
