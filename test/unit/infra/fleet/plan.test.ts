/** The planner's promises, over fleets by chance: what a person would be woken for at night if it did not hold. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type Policy, policySchema, selects } from "../../../../infra/fleet/inventory.ts";
import type { Reading } from "../../../../infra/fleet/metrics.ts";
import { amountOf, type Plan, planOnly, planRollout, type SeenHost } from "../../../../infra/fleet/plan.ts";
import { planLines } from "../../../../infra/fleet/plan-lines.ts";
import { asked } from "../../../fleet-scale/reading.ts";

const noon = Temporal.Instant.from("2026-11-28T12:00:00Z");
const policyOf = (policy: object = {}): Policy => policySchema.parse(policy);
const box = (name: string, change: Partial<SeenHost> = {}): SeenHost => ({
  ...{ name, platform: "linux-cuda", labels: {}, groups: [], declares: ["coder"], available: true, serves: ["coder"] },
  ...{ reading: asked(0), provedPaces: {}, steps: [{ resource: "model-coder" }], failed: null, refusal: null },
  ...change,
});
const boxes = (count: number, change: (index: number) => Partial<SeenHost> = () => ({})) =>
  Array.from({ length: count }, (_, index) => box(`box${String(index).padStart(4, "0")}`, change(index)));
const waves = (plan: Plan) => plan.waves.map(({ hosts }) => hosts.map(({ host }) => host));
const why = (plan: Plan, name: string) => plan.held.find(({ host }) => host === name)?.why;

const models = ["a", "b", "c"];
const someModels = fc.subarray(models);
const anyHost = fc.record({
  platform: fc.constantFrom("linux-cuda", "macos-metal"),
  labels: fc.record({ site: fc.constantFrom("x", "y"), role: fc.constantFrom("canary", "worker", "worker") }),
  groups: fc.subarray(["north", "south"]),
  declares: someModels,
  serves: someModels,
  available: fc.boolean(),
  reading: fc.option(fc.nat(9)).map((count) => (count === null ? null : asked(count))),
  provedPaces: fc.constant({}),
  steps: fc.oneof(
    fc.constant([]),
    fc.constant([{ resource: "model-a" }]),
    fc
      .subarray(["box0", "box1", "box2"], { minLength: 1 })
      .map((from) => [{ resource: "model-file-a", fetch: { file: "a.gguf", from } }, { resource: "model-a" }]),
  ),
  failed: fc.option(fc.constant("model-a: it does not load"), { freq: 12 }),
  refusal: fc.option(fc.constant({ why: "no answer", next: "switch it on" }), { freq: 6 }),
});
const anyFleet = fc.array(anyHost, { maxLength: 14 }).map((hosts) =>
  hosts.map(
    (host, index): SeenHost => ({
      ...host,
      name: `box${index}`,
      // What does not serve serves no model.
      serves: host.available ? host.serves : [],
      declares: host.steps.length > 0 ? host.declares : host.available ? host.serves : host.declares,
    }),
  ),
);
const anyAmount = (least: number) =>
  fc.oneof(fc.integer({ min: least, max: 5 }), fc.constantFrom("10%", "50%", "100%"));
const anyPolicy = fc
  .record({
    canary: fc.option(fc.constant({ role: "canary" }), { nil: undefined }),
    wave: anyAmount(1),
    maxUnavailable: anyAmount(1),
    keepServing: fc.nat(2),
    errorBudget: fc.oneof(fc.constant("100%"), anyAmount(0)),
    windows: fc.oneof(
      fc.constant([]),
      fc.constant([
        { from: "22:00", to: "06:00", hosts: { site: "x" } },
        { from: "11:00", to: "13:00", hosts: { site: "y" } },
      ]),
    ),
  })
  .map(policyOf);

/** Plays a plan wave by wave, and shows each to `look` with what is then away and what serves. */
function played(
  hosts: readonly SeenHost[],
  plan: Plan,
  look: (wave: SeenHost[], serving: readonly SeenHost[], before: readonly SeenHost[]) => void,
): void {
  let now = [...hosts];
  for (const { hosts: members } of plan.waves) {
    const names = new Set(members.map(({ host }) => host));
    const wave = now.filter(({ name }) => names.has(name));
    look(
      wave,
      now.filter((host) => host.available && !names.has(host.name)),
      now,
    );
    now = now.map((host) =>
      names.has(host.name) ? { ...host, available: true, serves: host.declares, steps: [] } : host,
    );
  }
}
const holds = (promise: (hosts: readonly SeenHost[], policy: Policy, plan: Plan) => void) =>
  fc.assert(
    fc.property(anyFleet, anyPolicy, (hosts, policy) => promise(hosts, policy, planRollout(hosts, policy, noon))),
    { numRuns: 400 },
  );

describe("whatever the fleet and the policy", () => {
  it("every host that differs is in exactly one wave or told why not, and one that is right is left alone", () =>
    holds((hosts, _, plan) => {
      const placed = [...waves(plan).flat(), ...plan.held.map(({ host }) => host), ...plan.right];
      expect([...placed].sort()).toEqual(hosts.map(({ name }) => name).sort());
      const alone = hosts.filter(({ steps, refusal, failed }) => steps.length === 0 && !refusal && !failed);
      expect(plan.right).toEqual(alone.map(({ name }) => name).sort());
      for (const { steps } of plan.waves.flatMap((wave) => wave.hosts)) expect(steps).not.toEqual([]);
      for (const { why, next } of plan.held) expect(why && next).toBeTruthy();
    }));

  it("a plan for some hosts changes no other one, and is as careful with them", () =>
    holds((hosts, policy) => {
      const names = new Set(hosts.filter((_, index) => index % 2 === 0).map(({ name }) => name));
      const plan = planOnly(names, hosts, policy, noon);
      const placed = [...waves(plan).flat(), ...plan.held.map(({ host }) => host)];
      expect(placed.filter((name) => !names.has(name))).toEqual([]);
      const differing = hosts.filter(({ steps, refusal, failed }) => steps.length > 0 || refusal || failed);
      expect(placed.sort()).toEqual(
        differing
          .map(({ name }) => name)
          .filter((name) => names.has(name))
          .sort(),
      );
      const whole = planOnly(new Set(hosts.map(({ name }) => name)), hosts, policy, noon);
      expect(whole).toEqual(planRollout(hosts, policy, noon));
    }));

  it("the same question has the same answer, in whatever order the hosts are told", () =>
    holds((hosts, policy, plan) => {
      expect(planRollout([...hosts].reverse(), policy, noon)).toEqual(plan);
    }));

  it("no wave is larger than the policy says", () =>
    holds((hosts, { wave }, plan) => {
      for (const members of waves(plan)) expect(members.length).toBeLessThanOrEqual(amountOf(wave, hosts.length, 1));
    }));

  it("no wave takes a group or a platform beyond maxUnavailable", () =>
    holds((hosts, { maxUnavailable }, plan) =>
      played(hosts, plan, (wave, serving, before) => {
        for (const inCrowd of [
          ...["linux-cuda", "macos-metal"].map((platform) => (host: SeenHost) => host.platform === platform),
          ...["north", "south"].map((group) => (host: SeenHost) => host.groups.includes(group)),
        ]) {
          const all = before.filter(inCrowd);
          // Repairing what is away already takes nothing away.
          if (!wave.some((host) => inCrowd(host) && host.available)) continue;
          const away = all.length - serving.filter(inCrowd).length;
          expect(away).toBeLessThanOrEqual(amountOf(maxUnavailable, all.length, 1));
        }
      }),
    ));

  it("no wave takes the last hosts of a declared model", () =>
    holds((hosts, { keepServing }, plan) =>
      played(hosts, plan, (wave, serving) => {
        for (const model of models.filter((id) => hosts.some(({ declares }) => declares.includes(id))))
          if (wave.some((host) => host.available && host.serves.includes(model)))
            expect(serving.filter(({ serves }) => serves.includes(model)).length).toBeGreaterThanOrEqual(keepServing);
      }),
    ));

  it("canaries go first: those with the label, else a single host", () =>
    holds((hosts, { canary }, plan) => {
      const planned = new Set(waves(plan).flat());
      const labelled = hosts.filter(({ name, labels }) => planned.has(name) && canary && selects(canary, labels));
      const [first] = plan.waves;
      if (!first) return;
      expect(first.canary).toBe(true);
      if (labelled.length === 0) expect(first.hosts).toHaveLength(1);
      const names = labelled.map(({ name }) => name);
      for (const { host } of first.hosts) if (names.length > 0) expect(names).toContain(host);
    }));

  it("nothing is changed once more hosts have failed than may", () =>
    holds((hosts, { errorBudget }, plan) => {
      const failed = hosts.filter((host) => host.failed !== null).length;
      expect(plan.errorBudget.spent).toBe(failed);
      if (failed > amountOf(errorBudget, hosts.length, 0)) expect(plan.waves).toEqual([]);
    }));

  it("a host outside its maintenance window is not touched", () =>
    holds((hosts, { windows }, plan) => {
      const closed = hosts.filter(({ labels }) => windows.length > 0 && labels.site === "x").map(({ name }) => name);
      for (const name of waves(plan).flat()) expect(closed).not.toContain(name);
    }));

  it("a file that only hosts of the fleet have is on one of them a wave before it is fetched", () =>
    holds((hosts, _, plan) =>
      played(hosts, plan, (wave, __, before) => {
        for (const { fetch } of wave.flatMap(({ steps }) => steps))
          if (fetch)
            expect(
              before.some(
                ({ name, steps }) =>
                  fetch.from.includes(name) && !steps.some((step) => step.fetch?.file === fetch.file),
              ),
            ).toBe(true);
      }),
    ));
});

describe("words for what is held", () => {
  it("name the model and how many would be left", () => {
    expect(why(planRollout([box("one")], policyOf(), noon), "one")).toBe(
      "coder would be served by 0 other hosts, and 1 must go on",
    );
  });
  it("name the host that is away already", () => {
    const fleet = [
      ...boxes(3),
      box("down", { available: false, serves: [], refusal: { why: "no answer", next: "switch it on" } }),
    ];
    expect(why(planRollout(fleet, policyOf(), noon), "box0000")).toMatch(
      /in platform linux-cuda down does not serve, and at most 1/,
    );
  });
  it("name the canary that cannot go first", () => {
    const fleet = boxes(3, (index) =>
      index === 0 ? { labels: { role: "canary" }, serves: ["coder", "rare"], declares: ["rare"] } : {},
    );
    const plan = planRollout(fleet, policyOf({ canary: { role: "canary" } }), noon);
    expect(plan.waves).toEqual([]);
    expect(why(plan, "box0002")).toMatch(/its canary box0000 cannot go first: rare would be served by 0/);
  });
  it("say when the window opens, where the host is", () => {
    const windows = [{ from: "22:00", to: "06:00", zone: "Europe/Berlin" }];
    expect(why(planRollout(boxes(2), policyOf({ windows }), noon), "box0000")).toBe(
      "its maintenance window is closed until 2026-11-28T22:00[Europe/Berlin]",
    );
  });
});

test("without a label the least busy host is the canary, and one that could not be asked counts as busy", () => {
  const fleet = boxes(3, (index) => ({ reading: [null, asked(5), asked(2)][index] as Reading | null }));
  expect(waves(planRollout(fleet, policyOf(), noon))).toEqual([["box0002"], ["box0001"], ["box0000"]]);
});

test("a host that serves is a better canary than one that is broken, which comes right after it", () => {
  const fleet = boxes(3, (index) => (index === 2 ? { available: false, serves: [] } : { reading: asked(index) }));
  expect(waves(planRollout(fleet, policyOf({ maxUnavailable: 2 }), noon))[0]).toEqual(["box0000"]);
  expect(waves(planRollout(fleet, policyOf({ maxUnavailable: 2 }), noon)).flat()).toEqual([
    "box0000",
    "box0002",
    "box0001",
  ]);
});

test("a plan reads as a table with why a host is held and how it ends", () => {
  const fleet = [...boxes(2), box("gone", { available: false, refusal: { why: "no answer", next: "switch it on" } })];
  expect(planLines(planRollout(fleet, policyOf({ maxUnavailable: 2 }), noon))).toEqual([
    "WAVE      HOST     PLATFORM    WHAT CHANGES",
    "1 canary  box0000  linux-cuda  model-coder",
    "2         box0001  linux-cuda  model-coder",
    "HELD  gone: no answer",
    "      Next: switch it on",
    "2 to change in 2 waves, 0 as declared, 1 held; 0 may fail",
  ]);
});

test("a thousand hosts with twenty models are planned within a second, one at a time in the worst case", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => `m${index}`);
  const fleet = boxes(1000, (index) => ({ declares: twenty, serves: twenty, groups: [`g${index % 10}`] }));
  for (const policy of [policyOf(), policyOf({ maxUnavailable: "10%" })]) {
    const started = performance.now();
    expect(waves(planRollout(fleet, policy, noon)).flat()).toHaveLength(1000);
    expect(performance.now() - started).toBeLessThan(1_000);
  }
});
