/** The command as a program: exit status, and what is on which stream. */
import { join } from "node:path";
import type { Command } from "commander";
import { execa } from "execa";
import { describe, expect, it, test, vi } from "vitest";
import { agreeOn } from "../../../infra/cli/ask.ts";
import { projectRoot } from "../../../infra/cli/pulumi.ts";
import { stackFile } from "../../../infra/cli/stack-file.ts";
import { program } from "../../../infra/cli/verbs.ts";

const lmstack = async (...words: string[]) => {
  const program = join(projectRoot, "infra/cli/lmstack.ts");
  const { exitCode, stdout, stderr } = await execa(process.execPath, [program, ...words], {
    env: { LMSTACK_NODE: process.execPath },
    reject: false,
    stdin: "ignore",
  });
  return { code: exitCode, out: stdout, said: stderr };
};

describe("a wrong command line", () => {
  it.each([
    [["serve"], /missing required argument 'gguf'/],
    [["logs", "kernel"], /supervisor, proxy, lmstudio/],
    [["statsu"], /Did you mean status/],
    [["host", "prepare", "--nope"], /unknown option/],
  ])("ends with 2 and is said on standard error alone: %j", async (words, reason) => {
    const { code, out, said } = await lmstack(...words);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(said).toMatch(reason);
  });

  it("is one JSON document where JSON was asked for", async () => {
    const { code, out, said } = await lmstack("serve", "/nowhere/m.gguf", "name", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      problem: expect.stringMatching(/model file not found: \/nowhere\/m\.gguf/),
    });
    expect(said).toContain("/nowhere/m.gguf");
  });
});

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

test("every verb has --json", () => {
  const verbs = leaves(program);
  expect(verbs.map((verb) => verb.name())).toEqual(expect.arrayContaining(["serve", "doctor", "prepare", "revoke"]));
  const without = verbs.filter((verb) => !verb.options.some(({ long }) => long === "--json"));
  expect(without.map((verb) => verb.name())).toEqual([]);
});

test("help tells the exit status", async () => {
  const { code, out } = await lmstack("keys", "add", "--help");
  expect(code).toBe(0);
  expect(out).toMatch(/Exit status: 0 done, 1 failed[\s\S]*2 wrong usage/);
});

describe("a stack's file", () => {
  const file = stackFile("box", "/nowhere");

  it("that somebody wrote is not changed unasked; its difference is shown first", async () => {
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    await expect(agreeOn(file, "a: 1\n", "a: 2\n", undefined)).rejects.toThrow(
      /Pulumi\.box\.yaml was not changed.*--yes/,
    );
    expect(String(said.mock.calls[0])).toMatch(/\+ a: 2\n {2}- a: 1/);
    await agreeOn(file, "a: 1\n", "a: 2\n", true);
  });

  it("that is new or the same is no question", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await agreeOn(file, undefined, "a: 2\n", undefined);
    await agreeOn(file, "a: 2\n", "a: 2\n", undefined);
  });
});
