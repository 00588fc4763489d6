import { expect, test } from "vitest";
import { differences } from "../../../infra/setup/packages.mjs";

const locked = {
  "": { version: "0.1.0" },
  "node_modules/a": { version: "1.0.0" },
  "node_modules/other-platform": { version: "2.0.0", optional: true },
};

test("what is installed as locked needs nothing, packages for other platforms included", () => {
  expect(differences(locked, { "node_modules/a": { version: "1.0.0" } })).toEqual([]);
});

test("a missing package and one of another version are both found", () => {
  expect(differences(locked, {})).toEqual(["node_modules/a"]);
  expect(differences(locked, { "node_modules/a": { version: "1.0.1" } })).toEqual(["node_modules/a"]);
  const otherPlatform = { "node_modules/a": { version: "1.0.0" }, "node_modules/other-platform": { version: "1.0.0" } };
  expect(differences(locked, otherPlatform)).toEqual(["node_modules/other-platform"]);
});

test("packages that somebody added by hand are left alone", () => {
  const more = { "node_modules/a": { version: "1.0.0" }, "node_modules/tool": { version: "9.0.0" } };
  expect(differences(locked, more)).toEqual([]);
});
