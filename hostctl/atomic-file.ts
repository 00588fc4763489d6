import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errno } from "./failure.ts";
import { isAlive } from "./process.ts";

/** Written under a staging name, flushed, renamed: after a kill or a power cut the final name holds the old bytes or the new ones. */
export async function writeAtomic(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const staging = stagingName(path);
  try {
    const file = await open(staging, "wx", mode);
    try {
      await file.writeFile(data);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staging, path);
  } catch (error) {
    await rm(staging, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function writeJson(path: string, value: unknown, mode = 0o600): Promise<void> {
  await writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`, mode);
}

export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(errno(error) ?? "")) return null;
    throw error;
  }
}

/** Null when absent or not JSON; LM Studio itself writes some of these files without care. */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

/** Beside the final name, with the writer's pid, so that what a killed writer left behind can be told from work in progress. */
export function stagingName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
}

/** Removes what killed writers left in these folders. */
export async function sweepStaging(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      const writer = name.match(/^\..*\.(\d+)\.[0-9a-f]{8}\.tmp$/)?.[1];
      if (writer !== undefined && !isAlive(Number(writer)))
        await rm(join(folder, name), { force: true, recursive: true });
    }
  }
}
