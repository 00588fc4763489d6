import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { kinds } from "../../chaos/kinds.ts";
import { sequence } from "../../chaos/sequence.ts";
import { chaosFile, chaosTable } from "../../chaos/table.ts";

test("the same seed gives the same faults, and no kind comes twice before every kind came", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.nat({ max: 60 }),
      fc.uniqueArray(fc.string(), { minLength: 1 }),
      (seed, count, names) => {
        const planned = sequence(names, count, seed);
        expect(sequence(names, count, seed)).toEqual(planned);
        expect(planned).toHaveLength(count);
        for (let start = 0; start < count; start += names.length) {
          const round = planned.slice(start, start + names.length).map(({ kind }) => kind);
          expect(new Set(round).size).toBe(round.length);
        }
        for (const { moment } of planned) expect(moment >= 0 && moment < 1).toBe(true);
      },
    ),
  );
});

test("other seeds give other orders", () => {
  const orders = [1, 2, 3].map((seed) =>
    sequence(kinds, kinds.length, seed)
      .map(({ kind }) => kind.name)
      .join(),
  );
  expect(new Set(orders).size).toBe(3);
});

test("the table in the docs is as the kinds are: npm run facts", async () => {
  expect(await readFile(chaosFile, "utf8")).toBe(chaosTable());
});
