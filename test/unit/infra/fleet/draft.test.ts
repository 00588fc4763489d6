/** The inventory that `lmstack fleet init` makes out of stacks. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { merged, readFleet } from "../../../../infra/fleet/compose.ts";
import { common, draftFleet, rest } from "../../../../infra/fleet/draft.ts";
import { exampleSpec, type Loose } from "../spec/example.ts";

const stack = (name: string, change: (spec: Loose) => void) => ({ stack: name, declared: exampleSpec(change) });
const three = [
  stack("box1", () => {}),
  stack("box2", (spec) => {
    spec.connection.host = "10.0.0.6";
    spec.lmstudio.backendPort = 9000;
  }),
  stack("studio", (spec) => {
    spec.platform = "macos-metal";
    spec.connection.host = "studio.local";
    spec.proxy.port = 9090;
  }),
];

it("composed again, says of each host exactly what its stack said", () => {
  const { hosts } = readFleet(draftFleet(three), "fleet.yaml");
  expect(hosts.map(({ name, declared }) => ({ stack: name, declared }))).toEqual(three);
});

it("has what hosts of a platform share in one profile, and leaves to each only its own", () => {
  const { profiles, hosts } = parse(draftFleet(three));
  expect(Object.keys(profiles)).toEqual(["linux-cuda", "macos-metal"]);
  expect(profiles["linux-cuda"].spec.models).toHaveLength(1);
  expect(hosts.box2).toMatchObject({ profile: "linux-cuda", spec: { lmstudio: { backendPort: 9000 } } });
  expect(Object.keys(hosts.box2.spec)).toEqual(["connection", "lmstudio"]);
  // The only one of its kind: the second needs no more than an address.
  expect(Object.keys(hosts.studio.spec)).toEqual(["connection"]);
});

it("whatever two hosts say, what they share and what is left make up each of them", () => {
  const leaf = fc.oneof(fc.constantFrom("a", 1, true), fc.array(fc.constantFrom(1, 2), { maxLength: 2 }));
  const { part } = fc.letrec<{ part: Record<string, unknown> }>((tie) => ({
    part: fc.dictionary(fc.constantFrom("x", "y", "z"), fc.oneof({ maxDepth: 3 }, leaf, tie("part"))),
  }));
  fc.assert(
    fc.property(part, part, (a, b) => {
      const shared = common(a, b);
      for (const whole of [a, b]) expect(merged(shared, rest(whole, shared))).toEqual(whole);
    }),
    { numRuns: 300 },
  );
});
