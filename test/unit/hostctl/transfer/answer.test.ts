import fc from "fast-check";
import { expect, test } from "vitest";
import { judgeAnswer } from "../../../../hostctl/transfer/answer.ts";
import { Pace, Rate } from "../../../../hostctl/transfer/pace.ts";

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const number = fc.nat({ max: 12 });
const validator = fc.constantFrom('"a"', '"b"', 'W/"a"');
const asked = fc.record({
  offset: number,
  validator: fc.option(validator),
  size: fc.option(number),
});
const headers = fc.record({
  etag: maybe(validator),
  "content-length": maybe(number.map(String)),
  "content-range": maybe(
    fc.oneof(
      fc.tuple(number, number, number).map(([start, end, total]) => `bytes ${start}-${end}/${total}`),
      number.map((total) => `bytes */${total}`),
      fc.constant("bytes ?"),
    ),
  ),
});
const status = fc.constantFrom(200, 206, 204, 301, 401, 404, 408, 416, 429, 500, 503);

test("whatever a server answers, bytes are saved only where they belong, and never beside a length that is known", () => {
  fc.assert(
    fc.property(asked, status, headers, (question, code, head) => {
      const verdict = judgeAnswer(question, code, head);
      if (verdict.do === "complete") expect(head["content-range"]).toBe(`bytes */${question.offset}`);
      if (verdict.do !== "save") return;
      // Saved from where the part ends, or from the beginning.
      expect([question.offset, 0]).toContain(verdict.at);
      const first = code === 206 ? Number(/\d+/.exec(head["content-range"] ?? "")?.[0]) : 0;
      expect(first + verdict.skip).toBe(verdict.at);
      if (verdict.at > 0 && code === 200) expect(head.etag).toBe(question.validator);
      if (question.size !== null) expect(verdict.total).toBe(question.size);
    }),
    { numRuns: 20_000 },
  );
});

test("a limited stream never runs ahead of its limit, whatever the pieces and pauses", () => {
  const steps = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 5000 }), idleMs: fc.nat({ max: 3000 }) }));
  fc.assert(
    fc.property(steps, (pieces) => {
      const pace = new Pace(1000);
      let now = 0;
      let sent = 0;
      let begun = 0;
      for (const { bytes, idleMs } of pieces) {
        now += idleMs;
        if (sent === 0) begun = now;
        sent += bytes;
        now += pace.after(bytes, now);
        expect(sent).toBeLessThanOrEqual(now - begun + 1e-6);
      }
    }),
  );
});

test("the rate is of the last ten seconds", () => {
  const rate = new Rate();
  for (let second = 0; second <= 60; second++) rate.see(second * 1_000_000, second * 1000);
  for (let second = 61; second <= 75; second++) rate.see(60_000_000 + (second - 60) * 10, second * 1000);
  expect(rate.perSecond()).toBeCloseTo(10, 0);
});
