import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Memo } from "../../../../../proxy/codex/request/memo.ts";

describe("what is kept of earlier turns", () => {
  it("never takes more than it may, and gives back what was put there", () => {
    const step = fc.tuple(fc.stringMatching(/^[ab]{1,3}$/), fc.nat({ max: 120 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memo = new Memo<number>(800);
        const put = new Map<string, number>();
        for (const [text, size] of steps) {
          memo.put(text, size, size);
          put.set(text, size);
          expect(memo.bytes).toBeLessThanOrEqual(800);
          for (const [key, value] of put) expect([undefined, value]).toContain(memo.get(key));
        }
      }),
    );
  });

  it("forgets first what was not used for longest", () => {
    const memo = new Memo<number>(100);
    for (const text of ["a", "b", "c", "d", "e", "f", "g", "h"]) memo.put(text, 1, 5);
    expect(memo.get("a")).toBe(1);
    memo.put("i", 1, 5);
    expect([memo.get("a"), memo.get("b")]).toEqual([1, undefined]);
  });
});
