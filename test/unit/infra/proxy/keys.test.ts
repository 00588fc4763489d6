import { expect, test } from "vitest";
import { type Key, keysFingerprint, ownKey, readKeys, usableWith } from "../../../../infra/proxy/keys.ts";
import { faultLine } from "../../../../infra/spec/faults.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

const spec = parseHostSpec(
  exampleSpec((s) => {
    s.proxy.keys = ["a", "b"];
  }),
);

test("every key without a value is named, with the command that sets it", () => {
  const { faults } = readKeys(spec, () => undefined);
  expect(faults.map(faultLine).join("\n")).toMatch(
    /proxy\.keys\[0\] \(a\).*pulumi config set --secret lmstack:secret\.a[\s\S]*secret\.b/,
  );
});

test("a key in plain text is refused, and its value is not repeated", () => {
  const { faults, keys } = readKeys(spec, () => ({ value: "planted", secret: false }));
  expect(keys).toEqual([]);
  expect(faults).toHaveLength(2);
  expect(JSON.stringify(faults)).not.toContain("planted");
});

test.each([
  ["planted\n-value", "a value with blanks, control characters or letters beyond ASCII"],
  ["planted value", "a value with blanks, control characters or letters beyond ASCII"],
  ["planted-värde", "a value with blanks, control characters or letters beyond ASCII"],
  ["planted", "a value shorter than 8 characters"],
])(
  "the key %j, which no header could carry or anybody could guess, is refused without repeating it",
  (value, found) => {
    const { faults, keys } = readKeys(spec, () => ({ value, secret: true }));
    expect(keys).toEqual([]);
    expect(faults[0]).toMatchObject({ found, next: expect.stringContaining("pulumi config set --secret") });
    expect(JSON.stringify(faults)).not.toContain("planted");
  },
);

test("two names for one key are refused: nobody could tell who used it", () => {
  const { faults } = readKeys(spec, () => ({ value: "planted-value", secret: true }));
  expect(faults.map(faultLine).join("\n")).toMatch(/^proxy\.keys\[1\] \(b\): found the value of the key a too/);
  expect(JSON.stringify(faults)).not.toContain("planted");
});

const key = (id: string, more: Partial<Key> = {}): Key => ({ id, models: ["*"], admin: false, value: id, ...more });

test("Codex gets the key that is bound by the least, and never needlessly one that may administrate", () => {
  const bound = [
    key("scoped", { models: ["m"] }),
    key("ending", { expires: "2027-01-01T00:00:00Z" }),
    key("admin", { admin: true }),
    key("slow", { requestsPerMinute: 1 }),
    key("free"),
    key("free-too"),
  ];
  const order: (string | undefined)[] = [];
  for (let left = bound; left.length > 0; left = left.filter(({ id }) => id !== order.at(-1)))
    order.push(ownKey(left)?.id);
  expect(order).toEqual(["free", "free-too", "slow", "admin", "ending", "scoped"]);
  expect(ownKey([])).toBeUndefined();
});

test("what a key may use is its models, and everything without keys", () => {
  const models = [{ id: "m" }, { id: "n" }];
  expect(usableWith(key("a", { models: ["n"] }), models)).toEqual([{ id: "n" }]);
  expect(usableWith(key("a", { models: ["n", "*"] }), models)).toEqual(models);
  expect(usableWith(undefined, models)).toEqual(models);
});

test("the fingerprint changes with any key and what it allows, and tells none", () => {
  const print = (value: string, stack = "s", more: Partial<Key> = {}) =>
    keysFingerprint([key("a", { value, ...more })], stack);
  expect(print("x")).toBe(print("x"));
  expect(new Set([print("x"), print("y"), print("x", "t"), print("x", "s", { admin: true })]).size).toBe(4);
  expect(print("x")).toMatch(/^[0-9a-f]{24}$/);
});
