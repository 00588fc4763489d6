// Where the pieces of a self-built engine lie, and under which name: content decides, so that two clones with the same
// sources share one engine and a changed source never meets an old binary.
//
//   <cache>/engine/go-<hash>/   what Go built: pulumi, pulumi-resource-docker
//   <cache>/engine/<hash>/bin/  pulumi, and beside it the language host, where the engine looks for it
//   <cache>/engine/<hash>/home/ PULUMI_HOME of its own with the two plugins in exactly the versions that the SDKs ask for

import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { clone } from "./folders.mjs";
import { lastLines, runProgram } from "./program.mjs";
import { SetupError } from "./report.mjs";

export const ENGINE_VERSION = "3.259.0";
const DOCKER_PLUGIN = "resource-docker-v5.2.0";
const COMMAND_PLUGIN = "resource-command-v1.2.1";
const sources = join(clone, "test", "engine");

/** Flags of `go build`: static, small, and stamped, because Pulumi's own tools read the version of the binary. */
export const GO_FLAGS = [
  "-trimpath",
  "-tags",
  "osusergo,grpcnotrace,no_compose",
  "-ldflags",
  `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${ENGINE_VERSION}`,
];

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

/** Hash of files by name and content, and of whatever else the result depends on. */
export function contentHash(root, files, ...more) {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) {
    const content = readFileSync(file);
    hash.update(`${relative(root, file)}\0${content.length}\0`).update(content);
  }
  hash.update(JSON.stringify(more));
  return hash.digest("hex").slice(0, 16);
}

function installedVersion(name) {
  return JSON.parse(readFileSync(join(clone, "node_modules", name, "package.json"), "utf8")).version;
}

export function engineHashes() {
  const all = [...filesUnder(sources)];
  const isGo = (file) => /(\.go|go\.mod|go\.sum)$/.test(file);
  const go = contentHash(sources, all.filter(isGo), GO_FLAGS, process.platform, process.arch);
  const bundled = ["@pulumi/pulumi", "@grpc/grpc-js", "google-protobuf"].map(installedVersion);
  const whole = contentHash(
    sources,
    all.filter((file) => /\.(ts|sh)$/.test(file)),
    go,
    bundled,
  );
  return { go, whole };
}

export function enginePaths(cache, hashes) {
  const root = join(cache, "engine", hashes.whole);
  return { root, bin: join(root, "bin"), home: join(root, "home"), built: join(cache, "engine", `go-${hashes.go}`) };
}

async function bundle(entry, outFile) {
  const esbuild = join(clone, "node_modules", ".bin", "esbuild");
  // An ES module that imports CommonJS needs a `require` of its own once it is bundled.
  const banner = 'import{createRequire as __r}from"node:module";const require=__r(import.meta.url);';
  const args = [entry, "--bundle", "--platform=node", "--target=node20", "--format=esm", `--banner:js=${banner}`];
  const { code, output } = await runProgram(esbuild, [...args, `--outfile=${outFile}`, "--log-level=warning"]);
  if (code !== 0) {
    throw new SetupError(
      `could not bundle ${relative(clone, entry)}:\n${lastLines(output)}`,
      "Run `npm ci`, then try again.",
    );
  }
}

/** One plugin written in TypeScript: its bundle, and the starter that the engine looks for by name. */
async function installPlugin(folder, name) {
  mkdirSync(folder, { recursive: true });
  await bundle(join(sources, name, "main.ts"), join(folder, `${name}.mjs`));
  copyFileSync(join(sources, "plugin.sh"), join(folder, name));
  chmodSync(join(folder, name), 0o755);
}

function place(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  try {
    linkSync(from, to); // the engine finds its language host beside the file that runs, which rules out a symlink
  } catch {
    copyFileSync(from, to);
  }
}

/** Puts the engine together beside its final place and renames it there: whoever sees it, sees it whole. */
export async function layOut(paths) {
  const staging = `${paths.root}.new`;
  place(join(paths.built, "pulumi"), join(staging, "bin", "pulumi"));
  place(
    join(paths.built, "pulumi-resource-docker"),
    join(staging, "home", "plugins", DOCKER_PLUGIN, "pulumi-resource-docker"),
  );
  await installPlugin(join(staging, "bin"), "pulumi-language-nodejs");
  await installPlugin(join(staging, "home", "plugins", COMMAND_PLUGIN), "pulumi-resource-command");
  renameSync(staging, paths.root);
}
