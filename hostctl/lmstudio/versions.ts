/** Which versions of LM Studio lie on a host, and which of them starts. */
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { readJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";
import { lmsExists } from "./lms.ts";

export function versionFolder(host: Host, version: string): string {
  return join(host.paths.lmstudio, "llmster", version);
}

/** The version that `bin/lms` would start: the recorded install location, else the newest folder. */
export async function installedVersion(host: Host): Promise<string | null> {
  if (!(await lmsExists(host))) return null;
  const names = await readdir(join(host.paths.lmstudio, "llmster")).catch(() => []);
  const versions: string[] = [];
  for (const name of names) if (await exists(join(versionFolder(host, name), "llmster"))) versions.push(name);
  const location = JSON.stringify((await readJson(locationFile(host))) ?? "");
  const chosen = versions.find(
    (version) => location.includes(`/llmster/${version}/`) || location.includes(`/llmster/${version}"`),
  );
  return chosen ?? versions.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1) ?? null;
}

/** Where `lms` finds what to start. */
export function locationFile(host: Host): string {
  return join(host.paths.lmstudio, ".internal", "llmster-install-location.json");
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
