import fc from "fast-check";
import { expect, test } from "vitest";
import { type Showing, worse } from "../../../../hostctl/upgrade/proof.ts";

const models = ["a", "b", "c"];
const where = models.flatMap((id) => [`${id} on /v1/responses`, `${id} on /v1/chat/completions`]);
const fault = fc.constantFrom(null, null, "it thought: 7 reasoning tokens instead of 0", "status 500");
const showing: fc.Arbitrary<Showing> = fc
  .tuple(fc.subarray(models), fc.record(Object.fromEntries(where.map((name) => [name, fault]))))
  .map(([loaded, faults]) => ({
    loaded,
    faults: Object.fromEntries(Object.entries(faults).filter(([name]) => loaded.includes(name[0] ?? ""))),
  }));

test("a version that shows what the one before showed is never refused, whatever that was", () => {
  fc.assert(fc.property(showing, (was) => worse(models, was, was) === null));
});

test("a version is refused exactly for a model that is gone or a fault that was not there before", () => {
  fc.assert(
    fc.property(fc.option(showing), fc.option(showing), (was, is) => {
      const gone = is !== null && (was?.loaded ?? models).some((id) => !is.loaded.includes(id));
      const fresh = Object.entries(is?.faults ?? {}).some(([name, now]) => now !== null && !was?.faults[name]);
      expect(worse(models, was, is) !== null).toBe(is === null || gone || fresh);
    }),
  );
});

test("a model that is no longer declared need not load", () => {
  expect(worse(["b"], { loaded: ["a", "b"], faults: {} }, { loaded: ["b"], faults: {} })).toBeNull();
});
