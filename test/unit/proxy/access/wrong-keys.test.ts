import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guessed, neighbourhood, slowed, WrongKeys } from "../../../../proxy/access/wrong-keys.ts";

const limit = fc.integer({ min: 1, max: 1_000 });

describe("the delay of wrong keys", () => {
  it("never falls, never passes five seconds, and begins right after the limit", () => {
    fc.assert(
      fc.property(limit, fc.integer({ min: 1, max: 10_000 }), (free, count) => {
        const now = slowed(count, free);
        expect(slowed(count + 1, free).delayMs).toBeGreaterThanOrEqual(now.delayMs);
        expect(now.delayMs).toBeLessThanOrEqual(5_000);
        expect(now.delayMs > 0).toBe(count > free);
        expect(now.retryAfter !== undefined).toBe(count > 5 * free);
      }),
    );
  });

  it("comes whenever more than the limit came within one minute", () => {
    fc.assert(
      fc.property(limit, fc.array(fc.integer({ min: 0, max: 59_999 }), { minLength: 2 }), (free, moments) => {
        const sorted = [...moments].sort((a, b) => a - b);
        const last = sorted.reduce<ReturnType<typeof guessed> | undefined>(guessed, undefined);
        expect(slowed(last?.count ?? 0, free).delayMs > 0).toBe(sorted.length > free);
      }),
    );
  });
});

describe("a neighbourhood", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["1::2:3:4:5:192.0.2.1", "1:0:2:3::/64"],
    ["", ""],
  ])("of %j is %j", (address, expected) => {
    expect(neighbourhood(address)).toBe(expected);
  });

  it("is the same however an address is written", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((group) => group.toString(16).padStart(4, "0")).join(":");
        const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
        fc.pre(!long.startsWith("0000:0000:0000:0000:0000:ffff"));
        expect(neighbourhood(short)).toBe(neighbourhood(long));
        expect(neighbourhood(long)).toBe(
          `${groups
            .slice(0, 4)
            .map((group) => group.toString(16))
            .join(":")}::/64`,
        );
      }),
    );
  });
});

describe("the memory of addresses", () => {
  it("is bounded, and the one that guesses now is not the one that is forgotten", () => {
    const wrong = new WrongKeys(10);
    for (let other = 0; other < 1_000; other++) {
      wrong.add("192.0.2.1", 1, other);
      wrong.add(`198.51.100.${other % 250}`, 1, other);
      expect(wrong.addresses).toBeLessThanOrEqual(10);
    }
    expect(wrong.add("192.0.2.1", 1, 1_000).retryAfter).toBe(60);
  });
});
