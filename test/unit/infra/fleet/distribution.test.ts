/** Who gets a model's file from whom. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FleetHost } from "../../../../infra/fleet/compose.ts";
import { filesToSpread, type Member, planSpread, sourcesOfOne } from "../../../../infra/fleet/distribution.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

const members = fc
  .array(
    fc.record({
      site: fc.constantFrom("", "berlin", "munich"),
      has: fc.boolean(),
      urls: fc.constantFrom([], ["https://hub/file.gguf"]),
    }),
    { maxLength: 60 },
  )
  .map((all): Member[] => all.map((one, index) => ({ ...one, host: `box${index}`, model: "m" })));

test("one host of a site fetches from the origin, and only where nobody there has the file", () => {
  fc.assert(
    fc.property(members, (all) => {
      const { origin } = planSpread(all);
      for (const site of new Set(all.map((one) => one.site))) {
        const own = all.filter((one) => one.site === site);
        const can = own.filter(({ urls }) => urls.length > 0).map(({ host }) => host);
        const wanted = own.some(({ has }) => has) || can.length === 0 ? [] : [can[0]];
        expect(origin.filter((host) => own.some((one) => one.host === host))).toEqual(wanted);
      }
    }),
  );
});

test("every host that lacks the file gets it from hosts of its own site, which have it or get it before", () => {
  fc.assert(
    fc.property(members, (all) => {
      const { origin, links } = planSpread(all);
      const siteOf = new Map(all.map(({ host, site }) => [host, site]));
      const before = new Set([...all.filter(({ has }) => has).map(({ host }) => host), ...origin]);
      for (const { host, from } of links) {
        expect(before.has(host)).toBe(false);
        expect(from.length).toBeGreaterThan(0);
        expect(new Set(from).size).toBe(from.length);
        for (const source of from) expect([before.has(source), siteOf.get(source)]).toEqual([true, siteOf.get(host)]);
        before.add(host);
      }
      const sites = new Set(all.filter(({ has, urls }) => has || urls.length > 0).map(({ site }) => site));
      expect(all.filter(({ host, site }) => sites.has(site) && !before.has(host))).toEqual([]);
    }),
  );
});

test("no host is asked by many more than it asks itself, so no link is the narrow one", () => {
  fc.assert(
    fc.property(members, (all) => {
      const asked = new Map<string, number>();
      for (const source of planSpread(all).links.flatMap(({ from }) => from))
        asked.set(source, (asked.get(source) ?? 0) + 1);
      expect(Math.max(0, ...asked.values())).toBeLessThanOrEqual(sourcesOfOne + 1);
    }),
  );
});

const url = "https://hub.example/m-Q4.gguf";
const digest = "a".repeat(64);
const host = (name: string, source: object, labels = {}): FleetHost => {
  const spec = parseHostSpec(
    exampleSpec((example) => {
      example.models = [{ id: "m", source, sha256: digest }];
    }),
  );
  return { name, labels, groups: [], declared: {}, spec };
};
const lacking = (...names: string[]) => new Map(names.map((name) => [name, new Set(["m"])]));

test("a file is told by its digest, whatever each host calls its source, and a site by its label", () => {
  const hosts = [host("box1", { url }), host("box2", { path: "/models/m.gguf" }, { site: "berlin" })];
  expect(filesToSpread(hosts, new Map([...lacking("box1"), ["box2", new Set()]]))).toEqual([
    {
      sha256: digest,
      what: "model m",
      members: [
        { host: "box1", site: "", has: false, urls: [url], model: "m" },
        { host: "box2", site: "berlin", has: true, urls: [], model: "m" },
      ],
    },
  ]);
});

test("what only one host declares, what nobody lacks, and what a person has to put there is left to each host", () => {
  const none = new Set<string>();
  expect(filesToSpread([host("box1", { url })], lacking("box1"))).toEqual([]);
  const both = [host("box1", { url }), host("box2", { url })];
  expect(filesToSpread(both, new Map([["box1", none] as const, ["box2", none] as const]))).toEqual([]);
  expect(filesToSpread(both, lacking("box1"))).toEqual([]);
  const paths = [host("box1", { path: "/m.gguf" }), host("box2", { path: "/m.gguf" })];
  expect(filesToSpread(paths, new Map([...lacking("box1"), ["box2", none]]))).toEqual([]);
});
