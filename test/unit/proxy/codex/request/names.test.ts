import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CallOrigin } from "../../../../../proxy/codex/calls.ts";
import { assignNames, flatName, isPlain, keyOf, originOf } from "../../../../../proxy/codex/request/names.ts";

const word = fc.oneof(
  fc.constantFrom("a", "a__b", "b", "b__c", "_", "web_search", "tool_search", "mcp__x", "é", "漢字", ""),
  fc.string({ unit: "binary", maxLength: 90 }),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/),
);
const origin: fc.Arbitrary<CallOrigin> = fc.oneof(
  fc
    .tuple(fc.constantFrom("function" as const, "custom" as const), word, fc.option(word))
    .map((parts) => originOf(...parts)),
  fc.constantFrom<CallOrigin>({ kind: "tool-search" }, { kind: "web-search", settings: { domains: [], results: 8 } }),
);
const origins = fc.uniqueArray(origin, { selector: keyOf, maxLength: 12 });

describe("the names under which LM Studio is told of tools", () => {
  it("are legal, differ, and are the same in any order", () => {
    fc.assert(
      fc.property(origins, (all) => {
        const names = assignNames(all);
        expect([...names.values()].filter((name) => !/^[A-Za-z0-9_-]{1,64}$/.test(name))).toEqual([]);
        expect(new Set(names.values()).size).toBe(all.length);
        for (const [key, name] of assignNames(all.toReversed())) expect(names.get(key)).toBe(name);
        for (const each of all) if (isPlain(each)) expect(names.get(keyOf(each))).toBe(flatName(each));
      }),
      { numRuns: 2000 },
    );
  });

  it("stay what they are when tools come that want none of them", () => {
    fc.assert(
      fc.property(origins, origins, (before, added) => {
        const wished = new Set(before.map(flatName));
        const others = added.filter((each) => !wished.has(flatName(each)));
        const names = assignNames(before);
        const later = assignNames([...before, ...others]);
        for (const [key, name] of names)
          if (!others.some((each) => flatName(each) === name)) expect(later.get(key)).toBe(name);
      }),
    );
  });

  it("lead to one tool each: where none has the better right to a name, nobody gets it", () => {
    const both = [originOf("function", "b__c", "a"), originOf("function", "c", "a__b")];
    for (const name of assignNames(both).values()) expect(name).toMatch(/^a__b__c_[0-9a-f]{8}$/);
  });

  it("tell the namespace, and are cut with a hash where they are too long", () => {
    expect(flatName(originOf("function", "log", "mcp__git"))).toBe("mcp__git__log");
    expect(flatName(originOf("function", "exec_command", "functions"))).toBe("exec_command");
    const long = flatName(
      originOf("function", "execute_document_command", "mcp__codex_apps__codex_document_control_____"),
    );
    expect(long).toMatch(/^mcp__codex_apps__codex_document_control_.{15}_[0-9a-f]{8}$/);
  });
});
