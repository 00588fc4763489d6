/** `lms` and `llmster` as single files, built once for each content and kept outside the clone. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = dirname(fileURLToPath(import.meta.url));
export const projectRoot = join(source, "..", "..");

export const cacheRoot = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "lmstack");

/** Digest of the stand-in's own source and of whatever else goes in. */
export async function contentHash(...more: string[]): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(source, { recursive: true })).filter((name) => name.endsWith(".ts")).sort();
  for (const name of names) hash.update(`${name}\0`).update(await readFile(join(source, name)));
  hash.update(await readFile(join(projectRoot, "package-lock.json")));
  for (const text of more) hash.update(`\0${text}`);
  return hash.digest("hex").slice(0, 24);
}

/** Makes a folder once, whoever asks and however often it was interrupted: filled beside its final name, then renamed. */
export async function makeOnce(folder: string, fill: (staging: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const staging = `${folder}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await mkdir(staging, { recursive: true });
  try {
    await fill(staging);
    await rename(staging, folder).catch((error: NodeJS.ErrnoException) => {
      // Somebody else was faster with the same content.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/** Folder with `lms.mjs` and `llmster.mjs`. */
export async function bundlePrograms(): Promise<string> {
  const folder = join(cacheRoot(), "lmstudio-sim", `programs-${await contentHash()}`);
  return await makeOnce(folder, async (staging) => {
    await build({
      entryPoints: { lms: join(source, "lms", "main.ts"), llmster: join(source, "daemon", "main.ts") },
      outdir: staging,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node22",
      // Native: lies beside the bundle, or is not needed.
      external: ["node-llama-cpp"],
      logLevel: "warning",
    });
  });
}
