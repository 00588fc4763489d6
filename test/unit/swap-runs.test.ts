import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../proxy-runs/random.ts";
import { changes, first } from "../swap-runs/changes.ts";

test("the changes of a swap run change something each time, take both ways, and one in five fails and is taken back", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 10, max: 40 }), (seed, count) => {
      const planned = changes(count, new Random(seed));
      expect(planned).toHaveLength(count);
      expect(planned.filter(({ fails }) => fails !== null)).toHaveLength(Math.floor(count / 5));
      expect(new Set(planned.map(({ room }) => room)).size).toBe(2);
      let now = first;
      for (const { to, fails } of planned) {
        expect(to).not.toEqual(now);
        if (fails === null) now = to;
      }
      expect(changes(count, new Random(seed))).toEqual(planned);
    }),
  );
});
