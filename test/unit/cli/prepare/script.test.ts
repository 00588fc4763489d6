import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { bareFacts } from "../../../../infra/cli/prepare/facts.ts";
import { planPrepare, type Step } from "../../../../infra/cli/prepare/plan.ts";
import { quote } from "../../../../infra/cli/prepare/quote.ts";
import { renderScript } from "../../../../infra/cli/prepare/script.ts";

const step = (command: string, alreadyDone = false): Step => ({
  id: "packages",
  why: "because",
  command,
  alreadyDone,
  required: true,
});
const runs = (...steps: Step[]) => execa("sh", { input: renderScript(steps), reject: false });

describe("the script for root", () => {
  it("parses as POSIX sh with everything in it", async () => {
    const steps = planPrepare(bareFacts("gpu", "/mnt/it's models", true), { become: "sudo", docker: true }).steps;
    const lingering = planPrepare(bareFacts("gpu", null, false), { become: "none", docker: false }).steps;
    for (const list of [steps, lingering]) {
      expect(await execa("sh", ["-n"], { input: renderScript(list), reject: false })).toMatchObject({
        exitCode: 0,
        stderr: "",
      });
    }
  });

  it("stops at the first command that fails, also inside a step", async () => {
    const { exitCode, stdout } = await runs(step("echo one; false\necho two"), step("echo three"));
    expect(exitCode).not.toBe(0);
    expect(stdout).toContain("one");
    expect(stdout).not.toMatch(/two|three|done/);
  });

  it("leaves out what is there already", async () => {
    const { stdout } = await runs(step("echo never", true), step("echo now"));
    expect(stdout.split("\n")).toEqual(["==> 1/1 packages", "now", "==> done"]);
  });

  it("keeps one step's folder and variables from the next", async () => {
    const { stdout } = await runs(
      step("cd /; fresh=1"),
      step(`echo "\${fresh:-none}"; [ "$PWD" = / ] || echo "still there"`),
    );
    expect(stdout).toContain("none\nstill there");
  });
});

describe("a word for the shell", () => {
  it("arrives as it was, whatever it holds", async () => {
    for (const word of ["plain-1.0", "it's", "$(id)", "a b", "", "`x`", "new\nline", "*"]) {
      expect((await execa("sh", ["-c", `printf %s ${quote(word)}`], { stripFinalNewline: false })).stdout).toBe(word);
    }
  });
});
