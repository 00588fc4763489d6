import { describe, expect, it } from "vitest";
import { grantsAll, handsOver, rootCommands, sudoersDropIn } from "../../../../infra/cli/prepare/sudoers.ts";

const listing = (rules: readonly string[]) =>
  `Matching Defaults entries for gpu on box:\n    env_reset, !requiretty\n\nUser gpu may run the following commands on box:\n${rules.map((rule) => `    ${rule}`).join("\n")}\n`;

describe("the sudoers drop-in", () => {
  it("has one rule for each command, each with all of its arguments and without a wildcard", () => {
    const rules = sudoersDropIn("gpu")
      .split("\n")
      .filter((line) => line.includes("NOPASSWD"));
    expect(rules).toHaveLength(rootCommands().length);
    for (const rule of rules) expect(rule).toMatch(/^gpu ALL=\(root\) NOPASSWD: \/usr\/s?bin\/[a-z]+ [^*?[\]\\!]+$/);
  });

  it("of a Mac has launchctl's verbs for the two daemons, and is recognised as that of a Mac alone", () => {
    const commands = rootCommands("Darwin");
    for (const command of commands) expect(command).toMatch(/^(\/usr)?\/bin\/[a-z]+ [^*?[\]\\!]+$/);
    const listed = listing(commands.map((command) => `(root) NOPASSWD: ${command}`));
    expect([grantsAll(listed, "Darwin"), grantsAll(listed)]).toEqual([true, false]);
  });

  it("ends with a line feed, without which sudo would drop the last rule", () => {
    expect(sudoersDropIn("gpu").endsWith("\n")).toBe(true);
  });

  it("is recognised in what sudo lists, rule by rule or joined", () => {
    expect(grantsAll(listing(rootCommands().map((command) => `(root) NOPASSWD: ${command}`)))).toBe(true);
    expect(grantsAll(listing([`(root) NOPASSWD: ${rootCommands().join(", ")}`]))).toBe(true);
  });

  it("is not taken for complete when any one command is missing, nor when everything is allowed anyway", () => {
    for (const [index] of rootCommands().entries()) {
      expect(
        grantsAll(
          listing(
            rootCommands()
              .toSpliced(index, 1)
              .map((command) => `(root) NOPASSWD: ${command}`),
          ),
        ),
      ).toBe(false);
    }
    expect(grantsAll(listing(["(ALL) NOPASSWD: ALL"]))).toBe(false);
    expect(grantsAll("")).toBe(false);
  });

  it("hands over to the owner's shell alone, and is recognised in what sudo lists", () => {
    expect(sudoersDropIn("gpu", "admin")).toBe(
      `${sudoersDropIn("gpu")}Defaults:admin !requiretty\nadmin ALL=(gpu) NOPASSWD: /bin/sh\n`,
    );
    expect(handsOver(listing(["(gpu) NOPASSWD: /bin/sh"]), "gpu")).toBe(true);
    expect(handsOver(listing(["(gpu) NOPASSWD: /bin/sh", "(root) NOPASSWD: /usr/bin/id"]), "gpu")).toBe(true);
    for (const other of ["(root) NOPASSWD: /bin/sh", "(gpu) NOPASSWD: /bin/sh -c id", "(ALL) NOPASSWD: ALL"])
      expect(handsOver(listing([other]), "gpu")).toBe(false);
  });
});
