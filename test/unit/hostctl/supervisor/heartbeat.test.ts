import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Heartbeat } from "../../../../hostctl/supervisor/heartbeat.ts";

const watchdogUsec = 30_000_000;
const beat = "WATCHDOG=1";

describe("systemd is told of the supervisor", () => {
  const told: string[] = [];
  const tell = async (words: readonly string[]) => {
    told.push(words.join(" "));
  };
  const heart = (usec = watchdogUsec) => new Heartbeat(tell, usec);

  beforeEach(() => {
    told.length = 0;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("that it moves, twice in the watchdog's interval, also while one load takes half an hour", () => {
    using closing = closed(heart());
    closing.heart.within(2_700_000);
    vi.advanceTimersByTime(1_800_000);
    expect(told).toHaveLength(120);
    expect(new Set(told)).toEqual(new Set([beat]));
  });

  test("no more when the step in progress is over its own limit, and again once the next one has begun", () => {
    using closing = closed(heart());
    closing.heart.within(60_000);
    vi.advanceTimersByTime(60_000);
    const inTime = told.length;
    expect(inTime).toBe(4);
    vi.advanceTimersByTime(300_000);
    expect(told).toHaveLength(inTime);
    closing.heart.within(60_000);
    vi.advanceTimersByTime(15_000);
    expect(told).toHaveLength(inTime + 1);
  });

  test("once that it is there, and of its state only when that changes", async () => {
    using closing = closed(heart(0));
    await closing.heart.ready();
    await closing.heart.ready();
    closing.heart.status("LM Studio ready");
    closing.heart.status("LM Studio ready");
    closing.heart.status("LM Studio working");
    expect(told).toEqual(["--ready", "--status=LM Studio ready", "--status=LM Studio working"]);
  });

  test("nothing without a watchdog, nor after its end", () => {
    heart(0).within(1);
    const ended = heart();
    ended.close();
    vi.advanceTimersByTime(600_000);
    expect(told).toEqual([]);
  });
});

function closed(heart: Heartbeat): Disposable & { readonly heart: Heartbeat } {
  return { heart, [Symbol.dispose]: () => heart.close() };
}
