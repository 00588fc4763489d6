import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { AnswerMeter } from "../../../../proxy/answer/meter.ts";
import { TokenClock } from "../../../../proxy/relay/token-clock.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const meter = (events: number) => ({ sawToken: events > 0, events }) as AnswerMeter;
const clocked = () => {
  const gaps: number[] = [];
  return { gaps, clock: new TokenClock((ms) => gaps.push(ms)) };
};
const after = (ms: number) => vi.advanceTimersByTime(ms);

it("tells the time between tokens, and the mean of a moment that brings several", () => {
  const { gaps, clock } = clocked();
  clock.tell(meter(0));
  expect(clock.firstTokenAt).toBeUndefined();
  after(100);
  clock.tell(meter(1));
  expect(clock.firstTokenAt).toBe(performance.now());
  after(30);
  clock.tell(meter(2));
  after(1);
  clock.tell(meter(3));
  after(39);
  clock.tell(meter(6));
  expect(gaps).toEqual([30, 10]);
});

it("takes no search between two rounds of an answer for a gap, nor its second first token for the first", () => {
  const { gaps, clock } = clocked();
  clock.tell(meter(1));
  const { firstTokenAt } = clock;
  after(5_000);
  clock.startRound();
  clock.tell(meter(1));
  after(20);
  clock.tell(meter(2));
  expect(gaps).toEqual([20]);
  expect(clock.firstTokenAt).toBe(firstTokenAt);
});
