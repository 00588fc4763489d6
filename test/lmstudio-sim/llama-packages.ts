/** The part of node_modules that llama.cpp needs at run time on Linux x64, without its sources, types and other platforms' binaries. */
import { existsSync } from "node:fs";
import { cp, readFile, realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { projectRoot } from "./bundle.ts";

const entry = "node-llama-cpp";
const binaries = "@node-llama-cpp/linux-x64";

export async function copyLlama(target: string): Promise<void> {
  // May be a link to another clone's; what is collected below has its links resolved.
  const root = await realpath(join(projectRoot, "node_modules"));
  const folders = new Set<string>();
  await collect(join(root, entry), folders);
  folders.add(join(root, binaries));
  for (const folder of folders) {
    await cp(folder, join(target, relative(root, folder)), {
      recursive: true,
      dereference: true,
      filter: (path) => isNeeded(relative(folder, path)),
    });
  }
}

function isNeeded(path: string): boolean {
  // Nested packages are collected on their own, where they are needed.
  if (path === "node_modules" || path.startsWith("node_modules/")) return false;
  return !/\.(d\.ts|d\.mts|d\.cts|map|md|bundle)$/.test(path) && !/^templates(\/|$)/.test(path);
}

/** Every package that `folder` can reach, found the way that Node finds them. */
async function collect(folder: string, seen: Set<string>): Promise<void> {
  const real = await realpath(folder);
  if (seen.has(real)) return;
  seen.add(real);
  const { dependencies = {} } = JSON.parse(await readFile(join(real, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) await collect(resolvePackage(real, name), seen);
}

function resolvePackage(from: string, name: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (folder === dirname(folder))
      throw new Error(`package ${name}, which ${from} needs, is not installed; run: npm ci`);
  }
}
