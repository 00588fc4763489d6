import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { customInput } from "../../../../../proxy/codex/answer/custom-input.ts";
import { functionArguments } from "../../../../../proxy/codex/answer/function-arguments.ts";
import { originOf } from "../../../../../proxy/codex/answer/names.ts";
import { usageOfRounds, validUsage } from "../../../../../proxy/codex/answer/usage.ts";
import { codexTools, tools, usage } from "./streams.ts";

const patch = "*** Begin Patch\n*** Add File: a.md\n+```\n+x\n+```\n*** End Patch";
const noted = <Result>(run: (note: (kind: string) => void) => Result) => {
  const kinds: string[] = [];
  return { result: run((kind) => kinds.push(kind)), kinds };
};
const input = (args: unknown, tool = "apply_patch") => noted((note) => customInput(args, tool, note));

describe("the text of a custom tool", () => {
  it("comes out of the function's argument as it is, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // A fence around everything, or the argument's own object once more, is what the next tests are about.
        fc.pre(!text.includes("```") && !text.trimStart().startsWith("{"));
        expect(input(JSON.stringify({ input: text }))).toEqual({ result: text, kinds: [] });
      }),
    );
    expect(input(JSON.stringify({ input: '{"a":1}' })).result).toBe('{"a":1}');
  });

  it.each([
    ["in an object instead of its text", { input: patch }, ["arguments-object"]],
    ["under another key", JSON.stringify({ patch }), ["custom-key"]],
    ["under another key within the argument", JSON.stringify({ input: { patch } }), ["custom-key"]],
    ["in one object too many", JSON.stringify({ input: JSON.stringify({ input: patch }) }), ["custom-key"]],
    ["in the form of a shell command", JSON.stringify({ command: ["apply_patch", patch] }), ["custom-key"]],
    ["without any object", patch, ["custom-bare"]],
    ["as a JSON string", JSON.stringify(patch), ["custom-bare"]],
    [
      "in a code fence",
      JSON.stringify({ input: `\`\`\`diff\n*** Begin Patch\n*** End Patch\n\`\`\`\n` }),
      ["code-fence"],
    ],
    ["in a code fence without any object", "```\n*** Begin Patch\n*** End Patch\n```", ["code-fence"]],
  ])("is found %s, and counted", (_, args, kinds) => {
    const found = input(args);
    expect(found.result.trim()).toMatch(/^\*\*\* Begin Patch\n[^{}]*\*\*\* End Patch$/);
    expect(found.kinds).toEqual(kinds);
  });

  it.each([
    ["was cut off", '{"input":"*** Begin Patch\\n*** Del', []],
    ["has several keys, none of which is the argument", '{"path":"a","text":"b"}', []],
    ["is a list of something else", '{"command":["bash","-c","ls"]}', []],
    ["holds two fences", "```\na\n```\n```\nb\n```", ["custom-bare"]],
  ])("stays as it was written when it %s: the tool refuses it, and the model learns of it", (_, args, kinds) => {
    expect(input(args)).toEqual({ result: args, kinds });
  });

  it("may be JSON by itself when nothing says that it is the function's own", () => {
    expect(input(JSON.stringify({ input: '{"patch":"x"}' })).result).toBe('{"patch":"x"}');
  });
});

describe("the arguments of a function", () => {
  const args = (value: unknown) => noted((note) => functionArguments(value, note));

  it("stay as they are when they begin like an object, whole or not", () => {
    for (const text of ['{"cmd":"ls"}', ' {"cmd":', "{}", "not json"])
      expect(args(text)).toEqual({ result: text, kinds: [] });
  });

  it.each([
    [{ cmd: "ls" }, '{"cmd":"ls"}', "arguments-object"],
    ["", "{}", "arguments-empty"],
    [undefined, "{}", "arguments-empty"],
    [null, "{}", "arguments-empty"],
    ['"{\\"cmd\\":\\"ls\\"}"', '{"cmd":"ls"}', "arguments-quoted"],
    ['```json\n{"cmd":"ls"}\n```', '{"cmd":"ls"}', "code-fence"],
  ])("%j are %s", (value, result, kind) => expect(args(value)).toEqual({ result, kinds: [kind] }));
});

describe("the tool that a name means", () => {
  const named = (name: string) => {
    const found = originOf(codexTools, name);
    const origin = found?.origin as { namespace?: string; name?: string } | undefined;
    return found && [origin?.namespace, origin?.name, found.repaired];
  };

  it("is found under the name that LM Studio was told", () => {
    expect(named("multi_agent_v1__close_agent")).toEqual(["multi_agent_v1", "close_agent", false]);
    expect(named("exec_command")).toEqual([undefined, "exec_command", false]);
  });

  it.each([
    ["close_agent", "multi_agent_v1", "close_agent"],
    ["multi_agent_v1.close_agent", "multi_agent_v1", "close_agent"],
    ["functions.multi_agent_v1.close_agent", "multi_agent_v1", "close_agent"],
    ["mcp__files/read", "mcp__files", "read"],
    ["functions.exec_command", undefined, "exec_command"],
    ["exec_command<|channel|>commentary", undefined, "exec_command"],
  ])("is found under %s too", (name, namespace, own) => expect(named(name)).toEqual([namespace, own, true]));

  it("is not guessed: a bare name of two namespaces, another case and an unknown name mean none", () => {
    for (const name of ["read", "Exec_Command", "shell", ""]) expect(named(name)).toBeUndefined();
  });

  it("is never another one's exact name", () => {
    const calls = tools({
      "a.b": { kind: "function", name: "a.b" },
      a__b: { kind: "function", name: "b", namespace: "a" },
    });
    expect(originOf(calls, "a.b")?.origin).toEqual({ kind: "function", name: "a.b" });
  });
});

describe("usage", () => {
  it("is the very same object when Codex can read it", () => {
    expect(validUsage(usage)).toBe(usage);
    const short = { input_tokens: 1, output_tokens: 2, total_tokens: 3, input_tokens_details: null };
    expect(validUsage(short)).toBe(short);
  });

  it.each([
    [
      { input_tokens: 1, output_tokens: 2 },
      { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    ],
    [
      { prompt_tokens: 1, completion_tokens: 2 },
      { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    ],
    [
      { ...usage, input_tokens_details: {}, output_tokens_details: [] },
      { input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } },
    ],
  ])("%j gets what it lacks", (given, wanted) => expect(validUsage(given)).toMatchObject(wanted));

  it.each([
    undefined,
    null,
    {},
    { input_tokens: 1 },
    { input_tokens: -1, output_tokens: 1 },
    { input_tokens: 1.5, output_tokens: 1 },
    "7",
  ])("%j is none", (given) => expect(validUsage(given)).toBeUndefined());

  it("of several rounds has the last prompt, which holds all, and every token that was said", () => {
    expect(usageOfRounds(usage, { ...usage, input_tokens: 20, total_tokens: 25 })).toEqual({
      input_tokens: 20,
      input_tokens_details: { cached_tokens: 2 },
      output_tokens: 10,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 30,
    });
    expect(usageOfRounds(undefined, usage)).toBe(usage);
    expect(usageOfRounds(usage, undefined)).toBe(usage);
  });
});
