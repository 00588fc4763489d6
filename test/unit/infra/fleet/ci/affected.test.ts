/** Which hosts a pull request's comment names, and a merge deploys: exactly those whose declaration changes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { affectedHosts, leftInventory, type Revision, shards } from "../../../../../infra/fleet/ci/affected.ts";

const revision = (
  hosts: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  files: Readonly<Record<string, string>> = {},
): Revision => ({
  hosts: Object.entries(hosts).map(([name, declared]) => ({ name, declared })),
  files: new Map(Object.entries(files)),
});
const named = (before: Revision | null, after: Revision, program = false) =>
  affectedHosts(before, after, program).map(({ host, what }) => [host, ...what]);
const stackFile = (host: object, rest = "") =>
  `config:\n  lmstack:host: ${JSON.stringify(host)}\n  lmstack:fleet: "abc"\n${rest}`;

describe("a host is concerned", () => {
  test("when its spec differs, whatever the order of keys", () => {
    expect(named(revision({ a: { x: 1, y: 2 }, b: { x: 1 } }), revision({ a: { y: 2, x: 1 }, b: { x: 2 } }))).toEqual([
      ["b", "its spec"],
    ]);
  });

  test("when it is new or gone, and with the spec that it has then", () => {
    const changes = affectedHosts(revision({ old: { x: 1 } }), revision({ fresh: { x: 1 } }), false);
    expect(changes).toEqual([
      { host: "fresh", what: ["new in the inventory"], before: undefined, after: "x: 1\n" },
      { host: "old", what: [leftInventory], before: "x: 1\n", after: undefined },
    ]);
  });

  test("when a secret in its stack file differs, not when only what the inventory writes there does", () => {
    const same = { a: { x: 1 }, b: { x: 1 } };
    const before = revision(same, { a: stackFile({ x: 0 }), b: stackFile({ x: 1 }) });
    const secret = "  lmstack:secret.team-a: {secure: v1:xyz}\n";
    const after = revision(same, { a: stackFile({ x: 1 }), b: stackFile({ x: 1 }, secret) });
    expect(named(before, after)).toEqual([["b", "secrets or settings in its stack file"]]);
  });

  test("when what is put on hosts differs, or nothing is known of what they have", () => {
    const same = revision({ a: { x: 1 } });
    expect(named(same, same, true)).toEqual([["a", "lmstack itself"]]);
    expect(named(null, same)).toEqual([
      ["a", expect.stringContaining("nothing is known"), "new in the inventory"].slice(0, 2),
    ]);
  });
});

const specs = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.record({ x: fc.nat(2) }));

test("exactly the hosts that differ are named, and the same revision twice names none", () => {
  fc.assert(
    fc.property(specs, specs, (before, after) => {
      const differing = ["a", "b", "c", "d"].filter((name) => before[name]?.x !== after[name]?.x);
      expect(named(revision(before), revision(after)).map(([host]) => host)).toEqual(differing);
      expect(named(revision(after), revision(after))).toEqual([]);
    }),
  );
});

test("every host is looked at by one job, in order, and GitHub's limit of jobs is far", () => {
  fc.assert(
    fc.property(fc.nat(1_000), (count) => {
      const hosts = Array.from({ length: count }, (_, index) => `host${index}`);
      const jobs = shards(hosts);
      expect(jobs.flat()).toEqual(hosts);
      expect(jobs.length).toBeLessThanOrEqual(20);
      expect(jobs.every(({ length }) => length > 0)).toBe(true);
    }),
  );
});
