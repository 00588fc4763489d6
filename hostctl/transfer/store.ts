/**
 * Every file that lmstack fetched lies once in `store/sha256/DIGEST`; the names that models have for it are hard links, so the file system itself
 * counts them. What nobody names goes; a person's own files never come here.
 */
import { link, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { stagingName, sweepStaging, syncFolder } from "../atomic-file.ts";
import { recordSha256, sha256Of } from "../checksum.ts";
import { errno } from "../failure.ts";
import type { Host } from "../host.ts";

const dayMs = 86_400_000;

export const storedFile = (host: Host, sha256: string): string => join(host.paths.store, sha256);

/** A stored file that somebody wrote into is removed. */
export async function isStored(host: Host, sha256: string): Promise<boolean> {
  const file = storedFile(host, sha256);
  if ((await inodeOf(file)) === null) return false;
  if ((await sha256Of(host, file, `stored file ${sha256.slice(0, 12)}`)) === sha256) return true;
  await rm(file);
  return false;
}

/** Gives a verified file its final place in the store. */
export async function putIntoStore(host: Host, part: string, sha256: string): Promise<void> {
  await mkdir(host.paths.store, { recursive: true, mode: 0o700 });
  await rename(part, storedFile(host, sha256));
  await syncFolder(host.paths.store);
  await recordSha256(host, storedFile(host, sha256), sha256);
}

/** What was read whole, and is right. */
export async function storeContent(host: Host, content: Buffer, sha256: string): Promise<void> {
  await mkdir(host.paths.store, { recursive: true, mode: 0o700 });
  const staging = stagingName(storedFile(host, sha256));
  await writeFile(staging, content, { mode: 0o600, flush: true });
  await putIntoStore(host, staging, sha256);
}

export async function nameStored(host: Host, sha256: string, name: string): Promise<void> {
  await mkdir(dirname(name), { recursive: true, mode: 0o700 });
  await sweepStaging([dirname(name)]);
  const staging = stagingName(name);
  try {
    await link(storedFile(host, sha256), staging);
    await rename(staging, name);
  } finally {
    await rm(staging, { force: true });
  }
  await syncFolder(dirname(name));
  await recordSha256(host, name, sha256);
}

/** Takes a verified download of an earlier lmstack into the store; where the same file lies there already, its second copy goes. */
export async function adoptIntoStore(host: Host, name: string, sha256: string): Promise<void> {
  const stored = storedFile(host, sha256);
  const [mine, other] = await Promise.all([inodeOf(name), inodeOf(stored)]);
  if (mine === other) return;
  await mkdir(host.paths.store, { recursive: true, mode: 0o700 });
  try {
    if (other !== null && (await isStored(host, sha256))) return await nameStored(host, sha256, name);
    await link(name, stored);
    await recordSha256(host, stored, sha256);
  } catch (error) {
    // Moved to another disk: it has its one copy there.
    if (errno(error) !== "EXDEV") throw error;
  }
}

export async function dropUnnamed(host: Host, digests: readonly string[]): Promise<void> {
  for (const sha256 of digests) {
    const found = await stat(storedFile(host, sha256)).catch(() => null);
    if (found?.nlink === 1) await rm(storedFile(host, sha256), { force: true });
  }
}

/** What was brought here for a change that never came, a day after. */
export async function dropForgotten(host: Host, now: number): Promise<void> {
  for (const sha256 of await readdir(host.paths.store).catch(() => [])) {
    const found = await stat(storedFile(host, sha256)).catch(() => null);
    if (found?.nlink === 1 && now - found.ctimeMs > dayMs) await rm(storedFile(host, sha256), { force: true });
  }
}

async function inodeOf(path: string): Promise<number | null> {
  return await stat(path).then(
    ({ ino }) => ino,
    () => null,
  );
}
