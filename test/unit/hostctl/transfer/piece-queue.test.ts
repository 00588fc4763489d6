/** Which piece is asked for next of whom. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PieceQueue } from "../../../../hostctl/transfer/piece-queue.ts";

const none = new Set<number>();

test("every source is asked for its own pieces in their order, and then helps the one that is the furthest behind", () => {
  const queue = new PieceQueue(6, none, 2);
  expect([0, 0, 1, 0].map((source) => queue.next(source, 0))).toEqual([0, 2, 1, 4]);
  expect(queue.next(0, 0)).toBe(3);
});

test("a spare stays idle until whom it stands in for is asked no more", () => {
  const queue = new PieceQueue(6, none, 2);
  expect(queue.next(2, 0)).toBeUndefined();
  expect(queue.next(0, 0)).toBe(0);
  queue.failed(0);
  queue.leaveOut(0);
  expect(queue.next(2, 0)).toBe(0);
});

test("what is late is asked of somebody else when nothing else is left, and what comes twice counts once", () => {
  const queue = new PieceQueue(1, none, 1);
  expect(queue.next(0, 0)).toBe(0);
  expect([queue.next(1, 900), queue.next(1, 1100), queue.next(1, 2500)]).toEqual([undefined, 0, undefined]);
  expect([queue.arrived(0), queue.done, queue.arrived(0)]).toEqual([true, true, false]);
});

test("whatever fails, every piece is asked for until it is there, and none that is there is asked for again", () => {
  const act = fc.record({ source: fc.nat(7), fails: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.uniqueArray(fc.nat(39)), fc.array(act), (count, here, acts) => {
      const there = new Set(here.filter((index) => index < count));
      const queue = new PieceQueue(count, there, 4);
      let now = 0;
      const step = (source: number, fails: boolean) => {
        now += 2000;
        const index = queue.next(source, now);
        if (index === undefined) return;
        expect(there.has(index)).toBe(false);
        if (fails) queue.failed(index);
        else {
          expect(queue.arrived(index)).toBe(true);
          there.add(index);
        }
      };
      for (const { source, fails } of acts) step(source, fails);
      for (let left = count; left > 0; left--) step(0, false);
      expect([queue.done, there.size]).toEqual([true, count]);
    }),
  );
});
