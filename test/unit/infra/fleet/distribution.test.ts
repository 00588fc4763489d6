/** Who gets a model's file from whom. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FleetHost } from "../../../../infra/fleet/compose.ts";
import { filesToSpread, type Member, planSpread, stripes } from "../../../../infra/fleet/distribution.ts";
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

test("every stripe of the file comes to every host that lacks it, from hosts of its own site and never in a circle", () => {
  fc.assert(
    fc.property(members, (all) => {
      const { origin, links } = planSpread(all);
      const siteOf = new Map(all.map(({ host, site }) => [host, site]));
      const holders = new Set([...all.filter(({ has }) => has).map(({ host }) => host), ...origin]);
      const byHost = new Map(links.map((link) => [link.host, link]));
      for (const { host, from, spares } of links) {
        expect(holders.has(host)).toBe(false);
        expect(spares.length).toBe(from.length);
        for (const source of [...from, ...spares]) expect(siteOf.get(source)).toBe(siteOf.get(host));
        for (const stripe of from.keys()) {
          const seen = new Set<string>();
          let above = host;
          for (; !holders.has(above); above = byHost.get(above)?.from[stripe] ?? "") {
            expect(seen.has(above)).toBe(false);
            seen.add(above);
          }
        }
      }
      const sites = new Set(all.filter(({ has, urls }) => has || urls.length > 0).map(({ site }) => site));
      const left = all.filter(({ host, site }) => sites.has(site) && !holders.has(host) && !byHost.has(host));
      expect(left).toEqual([]);
    }),
  );
});

test("nobody sends more than one copy of the file, and no way is longer than a few hosts", () => {
  fc.assert(
    fc.property(members, (all) => {
      const sent = new Map<string, number>();
      const { links } = planSpread(all);
      const byHost = new Map(links.map((link) => [link.host, link]));
      for (const { from } of links) {
        for (const [stripe, source] of from.entries()) {
          sent.set(source, (sent.get(source) ?? 0) + 1 / from.length);
          let steps = 1;
          for (let above = source; byHost.has(above); above = byHost.get(above)?.from[stripe] ?? "") steps++;
          expect(steps).toBeLessThanOrEqual(2 + Math.ceil(Math.log(links.length + 1) / Math.log(stripes)) + stripes);
        }
        expect(from.length).toBeLessThanOrEqual(stripes);
      }
      expect(Math.max(0, ...sent.values())).toBeLessThanOrEqual(1.0001);
    }),
  );
});

test("nobody waits for a host whose link is said to be slow, and several that have the file share the work", () => {
  const box = (index: number, more: Partial<Member>): Member => {
    return { host: `box${index}`, site: "", has: false, urls: [], model: "m", ...more };
  };
  const limited = [0, 1, 2, 3, 4, 5].map((index) => box(index, index % 2 === 0 ? { bytesPerSecond: 1e6 } : {}));
  const { links } = planSpread([...limited, box(6, { has: true })]);
  for (const { from } of links) for (const source of from) expect(["box1", "box3", "box5", "box6"]).toContain(source);
  const several = [0, 1, 2, 3].map((index) => box(index, { has: index > 0 }));
  expect(new Set(planSpread(several).links[0]?.from)).toEqual(new Set(["box1", "box2", "box3"]));
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
