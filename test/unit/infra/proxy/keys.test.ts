import { expect, test } from "vitest";
import { keysFingerprint, readKeys } from "../../../../infra/proxy/keys.ts";
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

test("the fingerprint changes with any key and tells none", () => {
  const print = (value: string, stack = "s") => keysFingerprint([{ id: "a", value }], stack);
  expect(print("x")).toBe(print("x"));
  expect(new Set([print("x"), print("y"), print("x", "t")]).size).toBe(3);
  expect(print("x")).toMatch(/^[0-9a-f]{24}$/);
});
