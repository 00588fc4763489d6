/** What a canary is taken back for while it is watched at work. */
import { describe, expect, test } from "vitest";
import { policySchema } from "../../../../../infra/fleet/inventory.ts";
import type { Reading } from "../../../../../infra/fleet/metrics.ts";
import { pacesOf, type Watched, wrongIn } from "../../../../../infra/fleet/rollout/watch.ts";

const policy = policySchema.parse({});

interface Figures {
  readonly requests?: number;
  readonly errors?: number;
  readonly tokens?: number;
  readonly pace?: number;
  readonly thoughts?: number;
  readonly ready?: boolean;
}

const reading = (at: number, figures: Figures = {}): Reading => {
  const { requests = 0, errors = 0, tokens = 0, pace = 40, thoughts = 0, ready = true } = figures;
  const betweenTokens = { count: tokens, seconds: tokens / pace };
  const coder = { ...{ running: 0, queued: 0, slots: 2, outputTokens: tokens, thoughts }, betweenTokens };
  return {
    ...{ at, since: 1, ready, requests, errors },
    models: { coder: { ...coder, firstToken: { seconds: 0, count: 0 } } },
  };
};
const watched = (later: Figures, change: Partial<Watched> = {}): Watched => ({
  ...{ paces: { coder: 40 }, errors: 0, first: reading(0), last: reading(10_000, later) },
  ...change,
});
const wrong = (later: Figures, change: Partial<Watched> = {}) => wrongIn(watched(later, change), policy);

describe("a canary that is watched is taken back when", () => {
  test("requests fail that did not before, and not for what failed before as well", () => {
    expect(wrong({ requests: 10, errors: 1 })).toMatch(/1 of 10 requests failed, and before the change 0.0 % did/);
    expect(wrong({ requests: 1_000, errors: 9 })).toBeNull();
    expect(wrong({ requests: 100, errors: 8 }, { errors: 0.05 })).toBeNull();
    expect(wrong({ requests: 100, errors: 11 }, { errors: 0.05 })).toMatch(/11 of 100/);
  });

  test("it thinks although it should not", () => {
    expect(wrong({ thoughts: 1 })).toBe("coder thinks although it should not");
  });

  test("it is slow, if it has said enough to tell", () => {
    expect(wrong({ tokens: 100, pace: 11 })).toMatch(
      /coder gives 11 tokens a second, 40 before.*30%.*rollout.leastSpeed/,
    );
    expect(wrong({ tokens: 100, pace: 13 })).toBeNull();
    expect(wrong({ tokens: 5, pace: 1 })).toBeNull();
  });

  test("it is slow beside the slowest that was served before it, when it is new there", () => {
    expect(wrong({ tokens: 100, pace: 11 }, { paces: { small: 200, large: 40 } })).toMatch(
      /11 tokens a second, 40 before/,
    );
    expect(wrong({ tokens: 100, pace: 1 }, { paces: {} })).toBeNull();
  });

  test("a model is not loaded any more, or the proxy has gone silent, and not when it never told", () => {
    expect(wrong({ ready: false })).toMatch(/not ready any more/);
    expect(wrong({}, { last: null })).toMatch(/stopped answering/);
    expect(wrong({}, { first: null, last: null })).toBeNull();
  });
});

test("how fast a host was before is known only when it has said enough", () => {
  expect(pacesOf(null, reading(0, { tokens: 100 }), {})).toEqual({ coder: 40 });
  expect(pacesOf(null, reading(0, { tokens: 19 }), {})).toEqual({});
});

test("how fast a host was before is what it was lately, not what a slow model that was taken back has left in its sums", () => {
  const spoilt = { tokens: 1_000, pace: 10 };
  const lately = (tokens: number) => {
    const now = reading(60_000, spoilt);
    const { coder } = now.models as { coder: Reading["models"][string] };
    const { count, seconds } = coder.betweenTokens;
    const betweenTokens = { count: count + tokens, seconds: seconds + tokens / 50 };
    return { ...now, models: { coder: { ...coder, betweenTokens } } };
  };
  expect(pacesOf(reading(0, spoilt), lately(100), {}).coder).toBeCloseTo(50);
  expect(pacesOf(reading(0, spoilt), lately(100), { coder: 60 }).coder).toBeCloseTo(50);
  // Nobody asked it lately.
  expect(pacesOf(reading(0, spoilt), lately(5), { coder: 60 }).coder).toBe(60);
});
