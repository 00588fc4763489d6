/** Puts Codex's files where the operator finds them. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackFolder } from "../host/survey.ts";
import type { Artifact } from "./artifacts.ts";

/** Takes away what was there, so that no file of an older spec keeps a key. A secret one is written with mode 0600 from the first byte. */
export function writeArtifacts(
  artifacts: readonly Artifact[],
  stack: string,
  folder = join(stackFolder(stack), "codex"),
): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, content, mode } of artifacts) writeFileSync(join(folder, name), content, { mode });
}
