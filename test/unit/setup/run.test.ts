import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const file = fileURLToPath(new URL("../../../infra/setup/run.mjs", import.meta.url));

test("a Node that is too old is told so in one sentence, with the way out, before anything else is read", () => {
  const text = readFileSync(file, "utf8").replace("process.versions.node", '"16.20.2"');
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^lmstack needs Node 18 or newer to set itself up; this is v.*\nInstall a current Node, see https:.*\n$/,
  );
});

test("the first file uses no syntax that an old Node cannot read", () => {
  const code = readFileSync(file, "utf8").replace(/^\/\/.*$/gm, "");
  expect(code).not.toMatch(/\?\?|\?\.|^import |await|`/m);
});
