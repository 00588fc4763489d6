/** Puts Codex's files where the operator finds them. */
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackFolder } from "../host/survey.ts";
import type { Artifact } from "./artifacts.ts";

const ours = /^(?:codex-[\w-]+|[\w-]+\.(?:config\.toml|catalog\.json|env|README\.md))$/;

/**
 * Takes away what an older spec left there, so that no old file keeps a key; what Codex keeps in the folder when its launcher is started right there
 * stays. A secret file has mode 0600 from the first byte.
 */
export function writeArtifacts(
  artifacts: readonly Artifact[],
  stack: string,
  folder = join(stackFolder(stack), "codex"),
): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  for (const name of readdirSync(folder)) if (ours.test(name)) rmSync(join(folder, name));
  for (const { name, content, mode } of artifacts) writeFileSync(join(folder, name), content, { mode });
}
