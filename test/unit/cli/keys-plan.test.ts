import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { entryFor, listed, newKey, type Wishes, withKey, withoutKey } from "../../../infra/cli/keys-plan.ts";
import { checkHostSpec } from "../../../infra/spec/parse.ts";
import { exampleSpec, type Loose } from "../infra/spec/example.ts";

const file = "Pulumi.box.yaml";
const now = new Date("2026-06-01T12:00:00Z");
const fileOf = (spec: Loose) => stringify({ encryptionsalt: "v1:x", config: { "lmstack:host": spec } });
const plain = fileOf(exampleSpec());
const keysIn = (text: string) => parse(text).config["lmstack:host"].proxy.keys;
const adding = (id: string, wishes: Wishes, text = plain) => withKey(text, file, entryFor(id, wishes, now));

const commented = `encryptionsalt: v1:x=
# Our box
config:
  # in the cellar
  lmstack:host:
    platform: linux-cuda # one card
    connection: {host: 10.0.0.5, user: gpu, hostKey: "a very long line that no printer of YAML may fold for being beyond eighty signs"}
    models:
      - id: A # the only one
        source: {path: '/m/a.gguf'}
    proxy: {port: 8080, keys: [team-a, {id: b, models: [A]}]}
  lmstack:secret.team-a:
    secure: v1:abc
`;

describe("a new key", () => {
  it("leaves every other line of the file as it was", () => {
    const text = adding("c", { models: "A" }, commented);
    const [before, after] = [commented.split("\n"), text.split("\n")];
    expect(after.filter((line, index) => line !== before[index])).toEqual([
      "    proxy: {port: 8080, keys: [team-a, {id: b, models: [A]}, {id: c, models: [A]}]}",
    ]);
    expect(withoutKey(text, file, "c").text).toBe(commented);
  });

  it("finds its place where there were no keys, nor a proxy", () => {
    const bare = exampleSpec((s) => {
      delete s.proxy;
    });
    expect(keysIn(adding("a", {}, fileOf(bare)))).toEqual(["a"]);
    for (const proxy of [{}, { keys: [] }]) {
      expect(keysIn(adding("a", {}, fileOf({ ...bare, proxy })))).toEqual(["a"]);
    }
  });

  it("is a name alone when nothing binds it, and says what binds it otherwise", () => {
    expect(keysIn(adding("b", {}))).toEqual(["team-a", "b"]);
    const bound = adding("b", { models: "Qwen3.6-27B", rate: "30", expires: "2027-01-31", admin: true });
    expect(keysIn(bound)[1]).toEqual({
      id: "b",
      models: ["Qwen3.6-27B"],
      requestsPerMinute: 30,
      expires: "2027-01-31T00:00:00Z",
      admin: true,
    });
    // Pulumi's YAML would take a bare one for a date, and print it in a form of its own.
    expect(bound).toContain('expires: "2027-01-31T00:00:00Z"');
  });

  it.each([["2024-01-01"], ["1_000"], ["0x10"], ["true"], ["null"]])("may be called %s, and stays a word", (id) => {
    expect(keysIn(adding(id, {}))).toEqual(["team-a", id]);
    if (/^\d/.test(id)) expect(adding(id, {})).toContain(`"${id}"`);
  });

  it.each<[string, string, Wishes, RegExp]>([
    ["a name that is taken", "team-a", {}, /has a key team-a already/],
    ["a name with a blank", "a b", {}, /the key a b\.id: found "a b"; expected letters/],
    ["a model that is not declared", "b", { models: "Qwen3.6-28B" }, /did you mean Qwen3\.6-27B/],
    ["no model", "b", { models: " , " }, /at least 1/],
    ["no requests", "b", { rate: "0" }, /the key b\.requestsPerMinute/],
    ["a rate in words", "b", { rate: "fast" }, /--rate: found "fast"/],
    ["an end in words", "b", { expires: "soon" }, /--expires: found "soon"; expected .*30d/],
    ["an end on a day that is none", "b", { expires: "2027-02-30" }, /--expires/],
    ["an end without its zone", "b", { expires: "2027-02-20T10:00:00" }, /--expires/],
    ["an end that is over", "b", { expires: "2026-06-01" }, /is over/],
    ["an end after no time", "b", { expires: "0d" }, /is over/],
  ])("is refused for %s", (_, id, wishes, words) => {
    expect(() => adding(id, wishes)).toThrow(words);
  });

  it("is judged although another key is wrong, and not refused because of it", () => {
    const broken = fileOf(
      exampleSpec((s) => {
        s.proxy.keys = [{ id: "old", expires: "2027-01-01 00:00:00 +0000 UTC" }];
      }),
    );
    expect(() => adding("b", { models: "unknown" }, broken)).toThrow(/the key b\.models\[0\]/);
    expect(keysIn(adding("b", {}, broken))).toHaveLength(2);
  });

  it.each([
    ["12h", "2026-06-02T00:00:00Z"],
    ["30d", "2026-07-01T12:00:00Z"],
    ["8w", "2026-07-27T12:00:00Z"],
    ["2026-06-02", "2026-06-02T00:00:00Z"],
    ["2026-06-02T02:00:00+02:00", "2026-06-02T00:00:00Z"],
  ])("that expires %s does so at %s", (expires, moment) => {
    expect(entryFor("a", { expires }, now).expires).toBe(moment);
  });

  it("has 32 letters and digits that nobody can foresee", () => {
    const made = Array.from({ length: 500 }, newKey);
    for (const key of made) expect(key).toMatch(/^sk-lmstack-[A-Za-z0-9]{32}$/);
    expect(new Set(made).size).toBe(500);
    expect(new Set(made.join("").slice(11)).size).toBeGreaterThan(60);
  });
});

describe("a revoked key", () => {
  it("is gone, however it was written, and no other is", () => {
    const { text, found } = withoutKey(commented, file, "b");
    expect(found).toBe(true);
    expect(keysIn(text)).toEqual(["team-a"]);
    expect(withoutKey(commented, file, "A").found).toBe(false);
    expect(withoutKey(commented, file, "none")).toEqual({ text: commented, found: false });
  });

  it("that was the last of an endpoint open to the outside is told to be so", () => {
    expect(withoutKey(plain, file, "team-a").refusal).toMatch(/^proxy\.bind.*allowAnonymous/);
    expect(keysIn(withoutKey(plain, file, "team-a").text)).toEqual([]);
    expect(withoutKey(adding("b", {}), file, "team-a").refusal).toBeUndefined();
  });

  it("does not open an endpoint again that was open to all before it had keys", () => {
    const open = exampleSpec((spec) => {
      spec.proxy.keys = [];
      spec.proxy.allowAnonymous = true;
    });
    const closed = adding("first", {}, fileOf(open));
    expect(parse(closed).config["lmstack:host"].proxy).not.toHaveProperty("allowAnonymous");
    expect(withoutKey(closed, file, "first").refusal).toMatch(/^proxy\.bind/);
  });
});

it("keys that are added and revoked in any order leave what a set would hold, in a spec that holds", () => {
  const name = fc.constantFrom("a", "b", "c", "team-a", "0x1");
  const wishes = fc.record(
    {
      rate: fc.constant("5"),
      expires: fc.constant("9w"),
      models: fc.constant("Qwen3.6-27B"),
      admin: fc.constant(true),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), name, wishes), { maxLength: 12 }), (steps) => {
      const expected = new Set(["team-a"]);
      let text = plain;
      for (const [adds, id, asked] of steps) {
        if (adds && expected.has(id)) expect(() => adding(id, asked, text)).toThrow(/already/);
        else if (adds) {
          text = adding(id, asked, text);
          expected.add(id);
        } else {
          const { found, text: left } = withoutKey(text, file, id);
          expect(found).toBe(expected.delete(id));
          text = left;
        }
      }
      expect(listed(text, file).map(({ id }) => id)).toEqual([...expected]);
      const { faults } = checkHostSpec(parse(text).config["lmstack:host"]);
      expect(faults.map(({ where }) => where)).toEqual(expected.size === 0 ? ["proxy.bind"] : []);
    }),
    { numRuns: 60 },
  );
});

it("a file that is no stack's is refused in words", () => {
  expect(() => listed("config: {a: [}", file)).toThrow(/not valid YAML/);
  for (const text of ["", "config:\n", "config: {lmstack:host: text}"]) {
    expect(() => listed(text, file)).toThrow(/has no lmstack:host/);
  }
});
