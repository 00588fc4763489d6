import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { codexArtifacts } from "../../../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

let folder = "";
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "lmstack-launcher-")));
  for (const name of ["bin", "elsewhere", "a home"]) mkdirSync(join(folder, name));
  const codex = '#!/bin/sh\necho "$LMS_API_KEY|$NO_PROXY|$CODEX_HOME|$*"\n';
  writeFileSync(join(folder, "bin", "codex"), codex, { mode: 0o755 });
  for (const { name, content, mode } of codexArtifacts(parseHostSpec(exampleSpec()), "sk-1"))
    writeFileSync(join(folder, "a home", name), content, { mode });
});
afterEach(() => rmSync(folder, { recursive: true }));

const launcher = () => join(folder, "a home", "codex-lms");
const start = (file: string, args: string[] = [], env: Record<string, string> = {}) => {
  const path = `${folder}/bin:/usr/bin:/bin`;
  return spawnSync(file, args, {
    cwd: join(folder, "elsewhere"),
    env: { PATH: path, HOME: folder, NO_PROXY: "intranet", ...env },
    encoding: "utf8",
  });
};
const flags = "--profile lms -c model_provider=lms";
const bypass = "--dangerously-bypass-approvals-and-sandbox";

test("the launcher starts Codex as the article does, with key, profile and the user's own arguments, and never a daemon", () => {
  expect(start(launcher(), ["exec", "two words"]).stdout).toBe(
    `sk-1|intranet,10.0.0.5|${folder}/a home|${flags} ${bypass} exec two words\n`,
  );
});

test("it works through links, relative ones too, and from any folder", () => {
  symlinkSync("../a home/codex-lms", join(folder, "bin", "second"));
  symlinkSync("second", join(folder, "bin", "first"));
  expect(start("first").stdout).toContain(`|${folder}/a home|${flags}`);
  expect(start("sh", [join(folder, "bin", "first")]).stdout).toContain(`|${folder}/a home|${flags}`);
});

test("CODEX_HOME counts when the profile is there, and does not get in the way when it is not", () => {
  expect(start(launcher(), [], { CODEX_HOME: join(folder, "elsewhere") }).stdout).toContain(`|${folder}/a home|`);
  writeFileSync(join(folder, "elsewhere", "lms.config.toml"), "");
  writeFileSync(join(folder, "elsewhere", "lms.env"), "LMS_API_KEY=other; export LMS_API_KEY\n");
  expect(start(launcher(), [], { CODEX_HOME: join(folder, "elsewhere") }).stdout).toContain(
    `other|intranet|${folder}/elsewhere|`,
  );
});

test.each([["-s", "read-only"], ["--sandbox=workspace-write"], ["-a", "on-request"], [bypass]])(
  "what the user says about Codex's freedom holds: %s",
  (...args) => {
    expect(start(launcher(), args).stdout).toContain(`|${flags} ${args.join(" ")}\n`);
  },
);

test("words of a prompt are no flags", () => {
  expect(start(launcher(), ["exec", "--", "-s"]).stdout).toContain(`${flags} ${bypass} exec -- -s\n`);
});

test("a user who knows no_proxy in small letters only keeps what it says", () => {
  expect(start(launcher(), [], { NO_PROXY: "", no_proxy: "small" }).stdout).toContain("|small,10.0.0.5|");
});

test("a missing profile, which Codex would pass over in silence, is told", () => {
  rmSync(join(folder, "a home", "lms.config.toml"));
  const { status, stderr } = start(launcher());
  expect(status).toBe(1);
  expect(stderr).toContain("npx lmstack codex install");
});

test("a missing codex is told with the line that installs it", () => {
  rmSync(join(folder, "bin", "codex"));
  const { status, stderr } = start(launcher());
  expect(status).toBe(127);
  expect(stderr).toContain("npm install --global @openai/codex");
});
