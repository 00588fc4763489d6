import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readJson, writeJson } from "./atomic-file.ts";
import { sha256 } from "./digest.ts";
import { type Host, paced } from "./host.ts";

interface VerifiedRecord {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
  readonly sha256: string;
}

export async function hashFile(
  path: string,
  algorithm: "sha256" | "sha512",
  onBytes?: (done: number) => void,
): Promise<string> {
  const hash = createHash(algorithm);
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 2 ** 20 })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).length;
    onBytes?.(done);
  }
  return hash.digest("hex");
}

/** The digest from the record of an earlier run if size, mtime and inode still are the same; null when it has to be computed. */
export async function recordedSha256(host: Host, path: string): Promise<string | null> {
  const record = await readJson<VerifiedRecord>(recordPath(host, path));
  if (record === null) return null;
  const found = await stat(path).catch(() => null);
  const same =
    found !== null && found.size === record.size && found.mtimeMs === record.mtimeMs && found.ino === record.inode;
  return same ? record.sha256 : null;
}

/** Hashing 17 GB takes a minute, so it is remembered. */
export async function sha256Of(host: Host, path: string, what: string): Promise<string> {
  const known = await recordedSha256(host, path);
  if (known !== null) return known;
  const before = await stat(path);
  const say = paced(host.say);
  const started = Date.now();
  const digest = await hashFile(path, "sha256", (done) => {
    if (Date.now() - started > 1500) say(`verifying ${what}: ${Math.floor((done / before.size) * 100)} %`);
  });
  await recordSha256(host, path, digest, before);
  return digest;
}

/** Also for a file that was verified under another name. */
export async function recordSha256(host: Host, path: string, digest: string, seen?: Stats): Promise<void> {
  const { size, mtimeMs, ino } = seen ?? (await stat(path));
  await writeJson(recordPath(host, path), { path, size, mtimeMs, inode: ino, sha256: digest } satisfies VerifiedRecord);
}

function recordPath(host: Host, path: string): string {
  return join(host.paths.verified, `${sha256(path).slice(0, 32)}.json`);
}
