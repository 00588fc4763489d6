/** Our workflows, by the checker of workflows. */
import { execa } from "execa";
import { expect, test } from "vitest";
import { projectRoot } from "../pulumi/stack.ts";

test("every workflow is one, with its expressions, scripts and needs", async () => {
  const { stdout, exitCode } = await execa("actionlint", ["-no-color"], { cwd: projectRoot, reject: false });
  expect(stdout).toBe("");
  expect(exitCode).toBe(0);
});
