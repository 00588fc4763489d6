/**
 * LM Studio's installer tarball: named, packed and bootstrapped like the real one, with a Node of its own, so that a bare host can run it.
 *
 *     node test/lmstudio-sim/build.ts [VERSION…] [--variant full+cuda12] [--out FOLDER]
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { createGzip } from "node:zlib";
import { create } from "tar";
import { bundlePrograms, cacheRoot, contentHash, makeOnce } from "./bundle.ts";
import { writeLauncher } from "./install.ts";
import { copyLlama } from "./llama-packages.ts";

export interface InstallerOptions {
  /** As in LM Studio's file names, for example `0.0.25-1`. */
  readonly version: string;
  /** "llama" carries llama.cpp for real files besides the script engine; "script" is smaller. Default "llama". */
  readonly engine?: "script" | "llama";
  /** Default "full". */
  readonly variant?: "full" | "full+cuda12";
  readonly onProgress?: (line: string) => void;
}

export interface Installer {
  readonly version: string;
  /** Absolute path; beside it lies the same name with `.sha512`. */
  readonly tarball: string;
  /** Hex. */
  readonly sha512: string;
}

/** Built once for each content: later calls only read the digest. */
export async function buildInstaller(options: InstallerOptions): Promise<Installer> {
  const { version, engine = "llama", variant = "full", onProgress = () => {} } = options;
  const name = `${version}-linux-x64.${variant}.tar.gz`;
  const hash = await contentHash(version, engine, variant, process.version);
  const folder = await makeOnce(join(cacheRoot(), "lmstudio-sim", hash), async (staging) => {
    onProgress(`packing LM Studio's stand-in ${name}`);
    const tree = join(staging, "tree");
    await fillTree(tree, version, engine);
    await pack(tree, join(staging, name));
    await rm(tree, { recursive: true });
    await writeFile(join(staging, `${name}.sha512`), `${await sha512Of(join(staging, name))}  ${name}\n`);
  });
  const tarball = join(folder, name);
  const sha512 = (await readFile(`${tarball}.sha512`, "utf8")).split(" ")[0] as string;
  return { version, tarball, sha512 };
}

async function fillTree(tree: string, version: string, engine: "script" | "llama"): Promise<void> {
  await mkdir(tree, { recursive: true });
  await writeLauncher(tree, await bundlePrograms(), version);
  const node = join(tree, ".bundle", "node");
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
  if (engine === "llama") await copyLlama(join(tree, ".bundle", "node_modules"));
}

/** Fast before small: it is unpacked far more often than it is moved. Times and owners are fixed, so that same content is same bytes. */
async function pack(tree: string, file: string): Promise<void> {
  const archive = create({ cwd: tree, portable: true, mtime: new Date(0), preservePaths: false }, [
    ".bundle",
    "llmster",
  ]);
  await pipeline(archive as unknown as NodeJS.ReadableStream, createGzip({ level: 1 }), createWriteStream(file));
}

async function sha512Of(file: string): Promise<string> {
  const hash = createHash("sha512");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { variant: { type: "string" }, out: { type: "string" }, engine: { type: "string" } },
  });
  for (const version of positionals.length > 0 ? positionals : ["0.0.25-1"]) {
    const built = await buildInstaller({
      version,
      variant: values.variant === "full+cuda12" ? "full+cuda12" : "full",
      engine: values.engine === "script" ? "script" : "llama",
      onProgress: (line) => console.error(line),
    });
    if (values.out !== undefined) {
      await mkdir(values.out, { recursive: true });
      for (const file of [built.tarball, `${built.tarball}.sha512`])
        await copyFile(file, join(values.out, basename(file)));
    }
    console.log(JSON.stringify(built));
  }
}
