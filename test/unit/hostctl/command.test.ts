import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, runWhenFree } from "../../../hostctl/command.ts";
import { hostAt } from "../../../hostctl/host.ts";
import { isAlive } from "../../../hostctl/process.ts";

test("a program that does not end in its time is ended, together with what it started", async () => {
  const home = await mkdtemp(join(tmpdir(), "lmstack-command-"));
  try {
    const words = ["-c", "sh -c 'echo $$ > child; sleep 600' & while :; do sleep 600; done"];
    const outcome = await run(
      hostAt(home, () => {}),
      "sh",
      words,
      { timeoutMs: 400, withChildren: true },
    );
    expect(outcome).toMatchObject({ code: null, timedOut: true });
    const child = Number(await readFile(join(home, "child"), "utf8"));
    await expect.poll(() => isAlive(child)).toBe(false);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

test("a program that is started bare sees nothing of the environment but what it is given", async () => {
  const options = { timeoutMs: 5000, bare: true, env: { PATH: process.env.PATH ?? "", GIVEN: "yes" } };
  const { stdout } = await run(
    hostAt(tmpdir(), () => {}),
    "env",
    [],
    options,
  );
  const names = stdout
    .trim()
    .split("\n")
    .map((line) => line.split("=")[0]);
  expect(names.sort()).toEqual(["GIVEN", "HOME", "LC_ALL", "PATH"]);
});

test("a program whose file is being written is told as one that could not be started, and waited for where it was just installed", async () => {
  const home = await mkdtemp(join(tmpdir(), "lmstack-command-"));
  try {
    const host = hostAt(home, () => {});
    const file = join(home, "program");
    await writeFile(file, "#!/bin/sh\necho runs\n", { mode: 0o700 });
    const writing = await open(file, "r+");
    const options = { timeoutMs: 10_000, input: "words" };
    const refused = await run(host, file, [], options);
    expect(refused).toMatchObject({ code: null, stdout: "", stderr: expect.stringContaining("ETXTBSY") });
    const waiting = runWhenFree(host, file, [], options);
    await writing.close();
    expect(await waiting).toMatchObject({ code: 0, stdout: "runs\n" });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
