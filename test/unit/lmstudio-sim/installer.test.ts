import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { extract } from "tar";
import { expect, test } from "vitest";
import { buildInstaller } from "../../lmstudio-sim/build.ts";
import { stopDaemon } from "../../lmstudio-sim/install.ts";
import { run } from "./scratch-home.ts";

test("the tarball matches its sha512, bootstraps a bare home without any other Node, and leaves out the temp folder that 0.0.25 forgets", {
  timeout: 60_000,
}, async () => {
  const { tarball, sha512, version } = await buildInstaller({ version: "0.0.25-1", engine: "script" });
  expect([version, basename(tarball)]).toEqual(["0.0.25-1", "0.0.25-1-linux-x64.full.tar.gz"]);
  expect(
    createHash("sha512")
      .update(await readFile(tarball))
      .digest("hex"),
  ).toBe(sha512);
  expect(await readFile(`${tarball}.sha512`, "utf8")).toBe(`${sha512}  ${basename(tarball)}\n`);
  const home = await mkdtemp(join(tmpdir(), "lmstudio-sim-installer-"));
  try {
    const unpacked = join(home, "unpacked");
    await mkdir(unpacked);
    await extract({ file: tarball, cwd: unpacked });
    const installed = await run(join(unpacked, "llmster"), ["bootstrap"], home);
    expect(installed).toMatchObject({
      code: 0,
      err: expect.stringContaining(`Install completed at ${join(home, ".lmstudio", "llmster", version)}.`),
    });
    await rm(unpacked, { recursive: true });
    const lms = join(home, ".lmstudio", "bin", "lms");
    const up = await run(lms, ["daemon", "up", "--json"], home);
    expect(JSON.parse(up.out)).toMatchObject({ status: "running", version: "0.0.25+1" });
    expect(
      (await run(join(home, ".lmstudio", ".internal", "temp"), [], home).catch(
        (error: NodeJS.ErrnoException) => error,
      )) as unknown,
    ).toMatchObject({ code: "ENOENT" });
  } finally {
    await stopDaemon(join(home, ".lmstudio"));
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
});
