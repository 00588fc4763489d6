/**
 * What LM Studio has outside of its versions' folders: the program that starts and its settings. A newer version writes them anew, and an
 * older one that gets its own files back neither starts the newer one nor reads settings that it does not know.
 */
import { constants } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { stagingName, syncFolder } from "../atomic-file.ts";
import type { Host } from "../host.ts";

/** A whole copy or none: it gets its name at the end. */
export async function keepFiles(host: Host): Promise<void> {
  const staging = `${folder(host)}.new`;
  for (const old of [staging, folder(host)]) await rm(old, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  for (const path of await files(host)) await place(path, join(staging, relative(host.home, path)));
  await rename(staging, folder(host));
  await syncFolder(host.paths.state);
}

/** May be called again after a kill. Each file changes as a whole: one of them is a program that may be running. */
export async function restoreFiles(host: Host): Promise<void> {
  for (const path of await below(folder(host))) await place(path, join(host.home, relative(folder(host), path)));
}

export async function dropFiles(host: Host): Promise<void> {
  await rm(folder(host), { recursive: true, force: true });
}

async function files(host: Host): Promise<string[]> {
  const internal = join(host.paths.lmstudio, ".internal");
  const settings = (await readdir(internal).catch(() => []))
    // That one is about a daemon that will have gone.
    .filter((name) => name.endsWith(".json") && name !== "http-server.json")
    .map((name) => join(internal, name));
  const defaults = await below(join(internal, "user-concrete-model-default-config"));
  const single = [join("bin", "lms"), "settings.json"].map((name) => join(host.paths.lmstudio, name));
  const all = [...single, join(host.paths.state, "settings.json"), ...settings, ...defaults];
  const there = await Promise.all(all.map((path) => stat(path).catch(() => null)));
  return all.filter((_, index) => there[index]?.isFile());
}

async function below(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function place(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const staging = stagingName(to);
  await copyFile(from, staging, constants.COPYFILE_FICLONE);
  const file = await open(staging, "r");
  // A power cut in the middle of an upgrade must not leave an empty way back.
  await file.sync().finally(() => file.close());
  await rename(staging, to);
}

const folder = (host: Host): string => join(host.paths.state, "before-upgrade");
