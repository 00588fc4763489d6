/** LM Studio's versions on a host: each in a folder of its own, one of them recorded as the one that starts. */
import { chmod, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { lastLine, runWhenFree } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { changeInstalled, forgetInstalled, readInstalled, writeInstalled } from "./installed.ts";
import { daemonDown } from "./lms.ts";
import { dropTarballs } from "./tarball.ts";
import { exists, installedVersion, locationFile, versionFolder } from "./versions.ts";

/** The folder of a version that was proved here from an archive with this digest, and kept; null when it has to be fetched. */
export async function keptVersion(host: Host, version: string, sha512: string): Promise<string | null> {
  const known = (await readInstalled(host))?.versions.some(
    (one) => one.version === version && one.sha512 === sha512.toLowerCase(),
  );
  const folder = versionFolder(host, version);
  return known && (await exists(join(folder, "llmster"))) ? folder : null;
}

/**
 * Makes the version in `folder` the one that starts; another one stays beside it. Idempotent. The daemon must be down: bootstrap refuses
 * otherwise.
 */
export async function bootstrap(host: Host, version: string, sha512: string, folder: string): Promise<void> {
  const before = await readInstalled(host);
  await writeInstalled(host, {
    good: null,
    trial: null,
    found: await readdir(host.paths.lmstudio).catch(() => null),
    createdPointer: !(await exists(pointer(host))),
    ...before,
    versions: [
      ...(before?.versions ?? []).filter((one) => one.version !== version),
      { version, sha512: sha512.toLowerCase() },
    ],
  });
  await daemonDown(host);
  const program = await findProgram(folder);
  await chmod(program, 0o755);
  host.say(`installing LM Studio ${version}`);
  // The variables are what LM Studio's own installer sets; shell start-up files are left alone because `lms bootstrap` is not called.
  const env = { LMS_BOOTSTRAP_INSTALL_SH: "1", LMS_NO_MODIFY_PATH: "1" };
  const outcome = await runWhenFree(host, program, ["bootstrap"], { timeoutMs: 300_000, cwd: folder, env });
  const found = await installedVersion(host);
  if (found !== version) {
    throw new HostFailure(
      "daemon_failed",
      `LM Studio ${version} did not install itself (found ${found ?? "nothing"}): ${lastLine(outcome.stderr) || lastLine(outcome.stdout) || `exit ${outcome.code}`}`,
      "run up again; `llmster bootstrap` by hand shows the same",
    );
  }
}

async function findProgram(staging: string): Promise<string> {
  const folders = [staging, ...(await readdir(staging)).map((name) => join(staging, name))];
  for (const folder of folders) if (await exists(join(folder, "llmster"))) return join(folder, "llmster");
  throw new HostFailure(
    "file_missing",
    "LM Studio's tarball holds no program named llmster",
    "correct lmstudio.url in the spec",
  );
}

/** Takes away what lmstack installed, but for these versions. */
export async function pruneVersions(host: Host, keep: readonly string[]): Promise<void> {
  for (const { version } of (await readInstalled(host))?.versions ?? [])
    if (!keep.includes(version)) await rm(versionFolder(host, version), { recursive: true, force: true });
  await changeInstalled(host, ({ versions }) => ({ versions: versions.filter((one) => keep.includes(one.version)) }));
}

/** Takes away what was installed here; a person's models stay, wherever they lie. The daemon must be down. */
export async function uninstall(host: Host): Promise<void> {
  const installed = await readInstalled(host);
  if (installed === null) return;
  await dropTarballs(host);
  await pruneVersions(host, []);
  for (const name of await readdir(host.paths.lmstudio).catch(() => [])) {
    if (name !== "models" && !installed.found?.includes(name))
      await rm(join(host.paths.lmstudio, name), { recursive: true, force: true });
  }
  // It names a program that is gone.
  await rm(locationFile(host), { force: true });
  await removeEmptyFolders(join(host.paths.lmstudio, "llmster"));
  if (!installed.found?.includes("models")) await removeEmptyFolders(join(host.paths.lmstudio, "models"));
  if (installed.found === null) await rmdir(host.paths.lmstudio).catch(() => {});
  if (installed.createdPointer) await rm(pointer(host), { force: true });
  await forgetInstalled(host);
}

/** Depth first; a folder with a file in it stays. */
async function removeEmptyFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await removeEmptyFolders(join(folder, entry.name));
  }
  // Refused by the kernel when something is left.
  await rmdir(folder).catch(() => {});
}

function pointer(host: Host): string {
  return join(host.home, ".lmstudio-home-pointer");
}
