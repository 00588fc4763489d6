import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { codexArtifacts } from "../../../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-launcher-"));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "codex"), '#!/bin/sh\necho "$LMS_API_KEY|$NO_PROXY|$*"\n', { mode: 0o755 });
  for (const { name, content, mode } of codexArtifacts(parseHostSpec(exampleSpec()), "sk-1"))
    writeFileSync(join(folder, name), content, { mode });
});
afterEach(() => rmSync(folder, { recursive: true }));

const environment = () => ({
  PATH: `${folder}/bin:${process.env.PATH}`,
  CODEX_HOME: folder,
  HOME: folder,
  NO_PROXY: "intranet",
});

test("the launcher starts Codex with key, profile and the user's own arguments, and never a daemon", () => {
  const said = execFileSync(join(folder, "codex-lms"), ["--search", "two words"], {
    env: environment(),
    encoding: "utf8",
  });
  expect(said).toBe("sk-1|intranet,10.0.0.5|--profile lms -c model_provider=lms --search two words\n");
});

test("a missing profile, which Codex would pass over in silence, is told", () => {
  rmSync(join(folder, "lms.config.toml"));
  chmodSync(join(folder, "bin", "codex"), 0o755);
  const { status, stderr } = spawnSync(join(folder, "codex-lms"), { env: environment(), encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toContain("npx lmstack codex install");
});
