import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { psOf } from "../../../hostctl/process.ts";

test("where there is no /proc, ps tells a process's words and start, and that it is gone", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "one & two"]);
  await once(child, "spawn");
  const { pid } = child;
  if (pid === undefined) throw new Error("no process was started");
  const found = psOf(pid);
  expect(found?.command).toContain("one & two");
  expect(found?.state).toMatch(/^[RSD]$/);
  expect(Date.parse(found?.started ?? "")).toBeGreaterThan(Date.now() - 48 * 3_600_000);
  expect(psOf(pid)?.started).toBe(found?.started);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(psOf(pid)).toBeNull();
});
