/** One test a fact: what LM Studio is documented to do, the stand-in does. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { facts } from "../../conformance/facts.ts";
import type { Place } from "../../conformance/place.ts";
import { checkOnStandIn, standingPlace } from "../../conformance/stand-in.ts";

test("there are at least 120 facts, each with a number of its own and in order", () => {
  const ids = facts.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].sort());
  expect(ids.length).toBeGreaterThanOrEqual(120);
});

describe.concurrent("LM Studio", () => {
  let standing: { place: Place; close: () => Promise<void> };
  beforeAll(async () => {
    standing = await standingPlace();
  });
  afterAll(() => standing?.close());

  for (const fact of facts)
    test(`${fact.id} ${fact.words} (${fact.source})`, async () => await checkOnStandIn(fact, standing.place));
});
