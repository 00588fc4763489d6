/** `fleet.yaml`: what comes out for each host, and how every fault is told. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { merged, readFleet } from "../../../../infra/fleet/compose.ts";
import { Faults } from "../../../../infra/spec/faults.ts";
import { hostKey } from "../spec/example.ts";

const good = `profiles:
  base:
    spec:
      proxy: {keys: [team-a]}
      models:
        - id: coder
          source: {path: /models/coder.gguf}
  linux:
    extends: [base]
    spec:
      platform: linux-cuda
      proxy: {port: 9090}
groups:
  ams: {site: ams}
hosts:
  box1:
    profile: linux
    labels: {site: ams}
    spec:
      connection: {host: 10.0.0.1, user: gpu, hostKey: "${hostKey}"}
  box2:
    profile: linux
    spec:
      connection: {host: 10.0.0.2, user: gpu, hostKey: "${hostKey}"}
      proxy: {port: null, bind: 127.0.0.1}
`;

const faultsIn = (text: string) => {
  try {
    readFleet(text, "fleet.yaml");
  } catch (error) {
    if (error instanceof Faults) return error.faults;
    throw error;
  }
  return [];
};

test("profiles compose, and a host's own word is the last", () => {
  const { hosts, policy } = readFleet(good, "fleet.yaml");
  const [box1, box2] = hosts;
  expect(box1).toMatchObject({
    name: "box1",
    groups: ["ams"],
    declared: { platform: "linux-cuda", proxy: { keys: ["team-a"], port: 9090 }, models: [{ id: "coder" }] },
  });
  expect(box1?.spec.models[0]?.load.contextLength).toBe(200_000);
  expect(box2?.declared.proxy).toEqual({ keys: ["team-a"], bind: "127.0.0.1" });
  expect(box2?.groups).toEqual([]);
  expect(policy).toMatchObject({ wave: "25%", maxUnavailable: 1, keepServing: 1, errorBudget: 0 });
});

test("all faults are told at once, each at its line, one of a profile only once with its hosts", () => {
  const faults = faultsIn(
    good
      .replace("platform: linux-cuda", "platform: linux-gpu")
      .replace("profile: linux\n    labels", "profile: linus\n    labels")
      .replace("groups:\n  ams: {site: ams}", "groups:\n  ams: {site: rotterdam}\nrolout: {}")
      .replace("bind: 127.0.0.1", "binds: 127.0.0.1"),
  );
  const told = faults.map(({ where, found, next }) => `${where} | ${found} | ${next}`);
  expect(told).toHaveLength(5);
  expect(told).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^fleet\.yaml:11 profiles\.linux\.spec\.platform \(box2\) \| "linux-gpu"/),
      expect.stringMatching(/^fleet\.yaml:18 hosts\.box1\.profile \| "linus" \| did you mean linux\?/),
      expect.stringMatching(/^fleet\.yaml:14 groups\.ams \| .*rotterdam/),
      expect.stringMatching(/^fleet\.yaml:15 rolout \| a key that does not exist \| did you mean rollout\?/),
      expect.stringMatching(/^fleet\.yaml:26 hosts\.box2\.spec\.proxy\.binds \(box2\) \| .* \| did you mean bind\?/),
    ]),
  );
});

test("a fault of a shared profile names the hosts that have it", () => {
  const [fault] = faultsIn(good.replace("path: /models/coder.gguf", "path: coder.gguf"));
  expect(fault?.where).toBe("fleet.yaml:7 profiles.base.spec.models[0].source.path (box1, box2)");
});

test("of several places that say the same key, the one that holds is blamed", () => {
  const [fault, ...more] = faultsIn(
    good.replace("keys: [team-a]}", "keys: [team-a], port: 8080}").replace("port: 9090", "port: 99999"),
  );
  expect(more).toEqual([]);
  expect(fault?.where).toBe("fleet.yaml:12 profiles.linux.spec.proxy.port (box1)");
});

describe("what would go wrong only later is refused", () => {
  it.each([
    [
      "a profile that leads back to itself",
      (s: string) => s.replace("  base:\n", "  base:\n    extends: [linux]\n"),
      /circle/,
    ],
    [
      "two stacks on one host",
      (s: string) => s.replace("10.0.0.2", "10.0.0.1"),
      /address 10\.0\.0\.1, port 22, as hosts\.box1/,
    ],
    [
      "names that differ in case only",
      (s: string) => s.replace("  box2:", "  BOX1:"),
      /name of its own|box1, as hosts\.box1/,
    ],
    [
      "a canary that no host is",
      (s: string) => `${s}rollout: {canary: {role: canary}}\n`,
      /labels that at least one host has/,
    ],
    ["a share that is none", (s: string) => `${s}rollout: {wave: 250%}\n`, /a whole number from 1, or a share/],
    [
      "a time zone that is none",
      (s: string) => `${s}rollout: {windows: [{from: "22:00", to: "06:00", zone: Mars}]}\n`,
      /time zone/,
    ],
    ["text that is no YAML", (s: string) => `${s}hosts: {`, /valid YAML/],
    ["no hosts", () => "profiles: {}\n", /hosts: found nothing/],
  ])("%s", (_, spoil, words) => {
    expect(() => readFleet(spoil(good), "fleet.yaml")).toThrow(words);
  });
});

test("merging nothing changes nothing, and what is said last holds", () => {
  const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes("__proto__"));
  const map = fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), json);
  fc.assert(
    fc.property(map, map, (under, over) => {
      expect(merged(under, {})).toEqual(under);
      const both = merged(under, over) as Record<string, unknown>;
      for (const [key, value] of Object.entries(over))
        if (value === null) expect(both).not.toHaveProperty([key]);
        else if (typeof value !== "object" || Array.isArray(value)) expect(both[key]).toEqual(value);
      expect(merged(both, over)).toEqual(both);
    }),
  );
});
