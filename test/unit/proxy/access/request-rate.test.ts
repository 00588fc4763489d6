import fc from "fast-check";
import { expect, it } from "vitest";
import { type Bucket, take } from "../../../../proxy/access/request-rate.ts";

const perMinute = fc.double({ min: 0.1, max: 600, noNaN: true });
const pauses = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 });

/** Moments at which one of the requests was allowed. */
function allowed(limit: number, gaps: readonly number[]): number[] {
  let bucket: Bucket | undefined;
  let now = 0;
  return gaps.flatMap((gap) => {
    now += gap;
    const taken = take(bucket, limit, now);
    bucket = taken.bucket;
    return taken.waitMs === 0 ? [now] : [];
  });
}

it("no span of time sees more than the burst and what filled up meanwhile", () => {
  fc.assert(
    fc.property(perMinute, pauses, (limit, gaps) => {
      const moments = allowed(limit, gaps);
      for (let first = 0; first < moments.length; first++) {
        for (let last = first; last < moments.length; last++) {
          const span = (moments[last] as number) - (moments[first] as number);
          expect(last - first + 1).toBeLessThanOrEqual(Math.max(1, limit) + (span * limit) / 60_000 + 1e-6);
        }
      }
    }),
    { numRuns: 50 },
  );
});

it("whoever waits as long as was said is let in, and not before", () => {
  fc.assert(
    fc.property(perMinute, pauses, (limit, gaps) => {
      let bucket: Bucket | undefined;
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const taken = take(bucket, limit, now);
        bucket = taken.bucket;
        if (taken.waitMs === 0) continue;
        expect(take(bucket, limit, now + taken.waitMs + 1).waitMs).toBe(0);
        expect(take(bucket, limit, now + taken.waitMs / 2).waitMs).toBeGreaterThan(0);
      }
    }),
  );
});

it("a clock that is set back neither fills the bucket nor locks it for ever", () => {
  const empty = { level: 0, at: 1_000_000 };
  const back = take(empty, 60, 0);
  expect(back.waitMs).toBe(1_000);
  expect(take(back.bucket, 60, 1_000).waitMs).toBe(0);
});
