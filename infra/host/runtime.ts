/** What is brought to a host: a pinned Node and the bundles, content-addressed, made on the operator's machine and kept in `.lmstack/cache`. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, createGzip } from "node:zlib";
import { create, extract } from "tar";
import type { Architecture } from "../lmstudio/release.ts";
import type { Platform } from "../spec/host-documents.ts";
import { shortHash } from "../spec/stable-json.ts";
import { bundleAll } from "./bundle.ts";
import { keptBundles } from "./kept-bundles.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Runtime {
  /** Address of Node and all bundles. */
  readonly hash: string;
  /** Address of what goes into the proxy's image. */
  readonly imageHash: string;
  /** Node's name in the cache and on the host. */
  readonly node: string;
}

/** What goes into a runtime beside Node, by its name there. */
export type Bundles = Readonly<Record<string, Uint8Array>>;

const ownCache = join(root, ".lmstack", "cache");
const dockerfile = "images/proxy/Dockerfile";
/** What decides about the bundles beside the sources that are in them. */
const terms = ["package-lock.json", "tsconfig.json", "infra/host/bundle.ts", dockerfile];

/** The same for every host, so it can be built while the host is being looked at. */
export const buildBundles = (): Promise<Bundles> =>
  keptBundles(ownCache, root, async () => {
    const [{ files, sources }, content] = await Promise.all([bundleAll(), readFile(join(root, dockerfile))]);
    return { files: { ...files, [dockerfile]: content }, sources: [...sources, ...terms] };
  });

/** Puts into the cache what is not there yet. */
export async function packRuntime(
  platform: Platform,
  architecture: Architecture,
  bundles: Bundles,
  cache = ownCache,
): Promise<Runtime> {
  await mkdir(cache, { recursive: true });
  const packageName = nodePackage(platform, architecture);
  const version = await pinnedVersion(packageName);
  const node = `node-${version}-${platform === "macos-metal" ? "darwin" : "linux"}-${architecture}`;
  await packNode(cache, node, packageName, version);
  const digests = Object.fromEntries(Object.entries(bundles).map(([name, content]) => [name, sha256(content)]));
  const hash = shortHash([digests, node]);
  await packBundles(cache, hash, bundles);
  return { hash, imageHash: shortHash([digests["proxy.mjs"], digests[dockerfile], node]), node };
}

const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

const nodePackage = (platform: Platform, architecture: Architecture): string =>
  platform === "macos-metal" ? `node-bin-darwin-${architecture}` : `node-linux-${architecture}`;

/** The exact version in package.json: one Node for everybody, whatever runs here. */
async function pinnedVersion(packageName: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  const version = manifest.optionalDependencies[packageName];
  if (!version) throw new Error(`package.json pins no ${packageName}`);
  return version;
}

async function packBundles(cache: string, hash: string, files: Bundles): Promise<void> {
  const target = join(cache, `runtime-${hash}.tar`);
  if (existsSync(target) && existsSync(join(cache, `runtime-${hash}.sha256`))) return;
  const staging = await mkdtemp(join(cache, "staging-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(staging, name)), { recursive: true });
      await writeFile(join(staging, name), content, { mode: 0o644 });
    }
    const archive = join(staging, "bundles.tar");
    await create({ file: archive, cwd: staging, portable: true, mtime: new Date(0) }, Object.keys(files));
    await writeFile(join(cache, `runtime-${hash}.sha256`), sha256(await readFile(archive)));
    await rename(archive, target);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Node's binary, compressed once: it travels once to each host, and a slow line is the usual one. */
async function packNode(cache: string, node: string, packageName: string, version: string): Promise<void> {
  const target = join(cache, `${node}.gz`);
  if (existsSync(target) && existsSync(join(cache, `${node}.sha256`))) return;
  const staging = await mkdtemp(join(cache, "staging-"));
  try {
    const installed = join(root, "node_modules", packageName, "bin", "node");
    const binary = existsSync(installed) ? installed : await fetchNode(staging, packageName, version);
    const digest = createHash("sha256");
    for await (const chunk of createReadStream(binary)) digest.update(chunk as Buffer);
    const packed = join(staging, "node.gz");
    await pipeline(createReadStream(binary), createGzip({ level: constants.Z_BEST_SPEED }), createWriteStream(packed));
    await writeFile(join(cache, `${node}.sha256`), digest.digest("hex"));
    await rename(packed, target);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A host of another kind than this machine: npm installs only what fits here, but packs anything. */
async function fetchNode(folder: string, packageName: string, version: string): Promise<string> {
  try {
    await promisify(execFile)("npm", ["pack", `${packageName}@${version}`, "--pack-destination", folder], {
      cwd: folder,
    });
  } catch (error) {
    throw new Error(
      `Node for this host could not be fetched: \`npm pack ${packageName}@${version}\` failed. Check the network or npm's registry setting`,
      { cause: error },
    );
  }
  const archive = (await readdir(folder)).find((name) => name.endsWith(".tgz"));
  if (!archive) throw new Error(`\`npm pack ${packageName}@${version}\` left no archive`);
  await extract({ file: join(folder, archive), cwd: folder, strip: 1 });
  return join(folder, "bin", "node");
}
