import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Scratch } from "./scratch.ts";

test("to observe a host asks `lms` nothing while LM Studio serves, once where it is down, and starts no daemon", {
  timeout: 60_000,
}, async () => {
  await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60 } } });
  const models = [host.model("alpha"), host.model("beta")];
  await host.must("converge", "lmstudio", host.lmstudio());
  for (const model of models) await host.must("converge", "model", model);
  const [lms, calls] = [join(host.home, ".lmstudio/bin/lms"), join(host.home, "files/calls")];
  await rename(lms, `${lms}-itself`);
  await writeFile(lms, `#!/bin/sh\necho "$*" >> ${calls}\nexec ${lms}-itself "$@"\n`, { mode: 0o755 });
  const asked = async (): Promise<string[]> => {
    await rm(calls, { force: true });
    const { lmstudio } = await host.observe(models);
    const text = await readFile(calls, "utf8").catch(() => "");
    return [lmstudio.daemon.running ? "runs" : "is down", ...text.split("\n").filter((line) => line !== "")];
  };
  expect(await asked()).toEqual(["runs"]);

  for (const program of ["main.ts", "llmster"])
    for (const pid of await host.processes(program)) process.kill(pid, "SIGKILL");
  await expect.poll(() => host.processes("llmster")).toEqual([]);
  expect(await asked()).toEqual(["is down", "daemon status --json"]);
  expect(await host.processes("llmster")).toEqual([]);
});
