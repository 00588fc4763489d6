import { createReadStream } from "node:fs";
import { access, chmod, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { extract } from "tar";
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { hashFile } from "../checksum.ts";
import { lastLine, run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { shown } from "../transfer/exchange.ts";
import { fetchVerified, progressLine } from "../transfer/fetch.ts";
import { Rate } from "../transfer/pace.ts";
import { dropPart } from "../transfer/part-file.ts";
import { daemonDown, lmsExists } from "./lms.ts";
import { requireSpace } from "./prerequisites.ts";

/** What lmstack installed; written before the first file, so that an interrupted install is never taken for somebody else's. */
export interface Installed {
  readonly versions: readonly string[];
  /** The LM Studio folder and its pointer did not exist before. */
  readonly createdHome: boolean;
  readonly createdPointer: boolean;
}

export async function readInstalled(host: Host): Promise<Installed | null> {
  return await readJson<Installed>(installedPath(host));
}

function installedPath(host: Host): string {
  return join(host.paths.state, "installed.json");
}

/** The version that `bin/lms` would start: the recorded install location, else the newest folder. */
export async function installedVersion(host: Host): Promise<string | null> {
  if (!(await lmsExists(host))) return null;
  const folder = join(host.paths.lmstudio, "llmster");
  const names = await readdir(folder).catch(() => []);
  const versions: string[] = [];
  for (const name of names) if (await exists(join(folder, name, "llmster"))) versions.push(name);
  const location = JSON.stringify(
    (await readJson(join(host.paths.lmstudio, ".internal", "llmster-install-location.json"))) ?? "",
  );
  const chosen = versions.find(
    (version) => location.includes(`/llmster/${version}/`) || location.includes(`/llmster/${version}"`),
  );
  return chosen ?? versions.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1) ?? null;
}

/** Fetched, verified, unpacked beside, ready to be bootstrapped; nothing of LM Studio was touched yet. */
export async function stageTarball(host: Host, document: LmstudioDocument): Promise<string> {
  const staging = join(host.paths.downloads, `llmster-${document.version}.unpacked`);
  const tarball = document.url.startsWith("file:") ? fileURLToPath(document.url) : await fetchTarball(host, document);
  const found = await stat(tarball).catch(() => null);
  if (found === null)
    throw new HostFailure(
      "file_missing",
      `LM Studio's tarball is not there: ${tarball}`,
      "correct lmstudio.url in the spec",
    );
  // Unpacked once beside, once more by bootstrap; gzip halves it at best.
  await requireSpace(host.home, found.size * 4, "installing LM Studio");
  if (document.url.startsWith("file:")) {
    host.say(`verifying LM Studio ${document.version}`);
    const digest = await hashFile(tarball, "sha512");
    if (digest !== document.sha512?.toLowerCase())
      throw new HostFailure(
        "checksum_mismatch",
        `LM Studio's tarball ${shown(document.url)} has sha512 ${digest}, but the spec says ${document.sha512}`,
        "correct lmstudio.sha512 or lmstudio.version in the spec; nothing was installed",
      );
  }
  host.say(`unpacking LM Studio ${document.version}`);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  await pipeline(createReadStream(tarball), extract({ cwd: staging }));
  return staging;
}

async function fetchTarball(host: Host, document: LmstudioDocument): Promise<string> {
  const part = join(host.paths.downloads, `llmster-${document.version}.tar.gz.part`);
  await mkdir(host.paths.downloads, { recursive: true, mode: 0o700 });
  const say = paced(host.say);
  const rate = new Rate();
  const order = {
    what: `LM Studio ${document.version}`,
    urls: [document.url] as const,
    digest: { algorithm: "sha512", hex: document.sha512?.toLowerCase() ?? "" } as const,
  };
  await fetchVerified(order, part, {
    spaceFactor: 5,
    onProgress: (progress) => {
      rate.see(progress.received, performance.now());
      say(progressLine("LM Studio", progress, rate.perSecond()));
    },
  });
  return part;
}

/** The daemon must be down: bootstrap refuses otherwise. Idempotent; a version beside another is switched to. */
export async function bootstrap(host: Host, document: LmstudioDocument, staging: string): Promise<void> {
  const before = await readInstalled(host);
  const installed: Installed = {
    versions: [...new Set([...(before?.versions ?? []), document.version])],
    createdHome: before?.createdHome ?? !(await exists(host.paths.lmstudio)),
    createdPointer: before?.createdPointer ?? !(await exists(pointer(host))),
  };
  await writeJson(installedPath(host), installed);
  await daemonDown(host);
  const program = await findProgram(staging);
  await chmod(program, 0o755);
  host.say(`installing LM Studio ${document.version}`);
  // The variable is what LM Studio's own installer sets; shell start-up files are left alone because `lms bootstrap` is not called.
  const env = { LMS_BOOTSTRAP_INSTALL_SH: "1", LMS_NO_MODIFY_PATH: "1" };
  const outcome = await run(host, program, ["bootstrap"], { timeoutMs: 300_000, cwd: staging, env });
  const version = await installedVersion(host);
  if (version !== document.version) {
    throw new HostFailure(
      "daemon_failed",
      `LM Studio ${document.version} did not install itself (found ${version ?? "nothing"}): ${lastLine(outcome.stderr) || lastLine(outcome.stdout) || `exit ${outcome.code}`}`,
      "run up again; `llmster bootstrap` by hand shows the same",
    );
  }
  await rm(staging, { recursive: true, force: true });
  await dropPart(join(host.paths.downloads, `llmster-${document.version}.tar.gz.part`));
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

/** Takes away what was installed here; a person's models stay, wherever they lie. The daemon must be down. */
export async function uninstall(host: Host): Promise<void> {
  const installed = await readInstalled(host);
  if (installed === null) return;
  for (const version of installed.versions)
    await rm(join(host.paths.lmstudio, "llmster", version), { recursive: true, force: true });
  if (installed.createdHome) {
    for (const name of await readdir(host.paths.lmstudio).catch(() => [])) {
      if (name !== "models") await rm(join(host.paths.lmstudio, name), { recursive: true, force: true });
    }
    await removeEmptyFolders(join(host.paths.lmstudio, "models"));
    await removeEmptyFolders(host.paths.lmstudio);
  }
  if (installed.createdPointer) await rm(pointer(host), { force: true });
  await rm(installedPath(host), { force: true });
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

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
