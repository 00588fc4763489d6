/** `lmstack doctor`: what went wrong as a finding with its fix. */
import { expect, test } from "vitest";
import { CliFault } from "../../../infra/cli/fault.ts";
import { findingLines, findingsOf, fine, healthy } from "../../../infra/cli/findings.ts";
import { Faults, fault } from "../../../infra/spec/faults.ts";

test("each fault is a finding of its own, with what comes next as its fix", () => {
  const faults = new Faults("two:", [fault("a", "1", "2", "do this"), fault("b", "3", "4", "do that")]);
  expect(findingsOf("spec", faults)).toEqual([
    { check: "spec", verdict: "problem", words: "a: found 1; expected 2", fix: "do this" },
    { check: "spec", verdict: "problem", words: "b: found 3; expected 4", fix: "do that" },
  ]);
  const [found] = findingsOf("ssh", new CliFault("the host is away. Next: switch it on"));
  expect(found).toEqual({ check: "ssh", verdict: "problem", words: "the host is away", fix: "switch it on" });
});

test("a bug of ours is not a finding", () => {
  expect(() => findingsOf("spec", new TypeError("x is not a function"))).toThrow(TypeError);
});

test("only a problem makes the host one that has to be seen to", () => {
  const warning = { check: "codex", verdict: "warning", words: "old" } as const;
  const problem = { check: "docker", verdict: "problem", words: "none", fix: "install it" } as const;
  expect(healthy([fine("node", "v26"), warning])).toBe(true);
  expect(healthy([fine("node", "v26"), problem])).toBe(false);
  expect(findingLines([fine("node", "v26"), problem]).join("\n")).toMatchInlineSnapshot(`
    "ok       node    v26
    PROBLEM  docker  none
                     fix: install it
    1 problem"
  `);
});
