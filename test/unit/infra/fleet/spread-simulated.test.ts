/** Short form of `npm run fleet:spread`. */
import { expect, test } from "vitest";
import { runSpread } from "../../../fleet-spread/run.ts";

test("a model comes to a site of forty hosts in less than three times the time of one copy, and once from its origin", () => {
  const rows = runSpread({ hosts: 40, gigabytes: 2, seed: 1, say: () => {} });
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
});
