import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codexArtifacts } from "../../../../infra/codex/artifacts.ts";
import { writeArtifacts } from "../../../../infra/codex/write.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

test("another provider's files replace the ones before, so that no old file keeps a key", () => {
  const folder = mkdtempSync(join(tmpdir(), "lmstack-codex-"));
  const write = (provider: string, key: string) => {
    const spec = parseHostSpec(
      exampleSpec((s) => {
        s.codex = { provider };
      }),
    );
    writeArtifacts(codexArtifacts(spec, key), "box", folder);
  };
  try {
    write("old", "sk-old-key");
    // The launcher was started right there.
    mkdirSync(join(folder, "sessions"));
    write("lms", "sk-new-key");
    expect(existsSync(join(folder, "sessions"))).toBe(true);
    rmSync(join(folder, "sessions"), { recursive: true });
    expect(readdirSync(folder).sort()).toEqual([
      "codex-lms",
      "lms.README.md",
      "lms.catalog.json",
      "lms.config.toml",
      "lms.env",
    ]);
    expect(statSync(join(folder, "lms.env")).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
