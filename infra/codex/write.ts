/** Puts Codex's files where the operator finds them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackFolder } from "../host/survey.ts";
import type { Artifact } from "./artifacts.ts";

/** A secret one is written with mode 0600 from the first byte. */
export function writeArtifacts(
  artifacts: readonly Artifact[],
  stack: string,
  folder = join(stackFolder(stack), "codex"),
): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, content, mode } of artifacts) writeFileSync(join(folder, name), content, { mode });
}
