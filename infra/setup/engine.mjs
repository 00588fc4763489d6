// Which Pulumi engine is used: the user's own, an official download, or one built here where nothing can be downloaded.

import { existsSync, readdirSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { buildEngine } from "./engine-build.mjs";
import { ENGINE_VERSION, engineHashes, enginePaths, layOut } from "./engine-layout.mjs";
import { cacheFolder } from "./folders.mjs";
import { withLock } from "./lock.mjs";
import { findOnPath, lastLines, runProgram } from "./program.mjs";
import { SetupError, say, seconds, withHeartbeat } from "./report.mjs";

const INSTALLER = "https://get.pulumi.com/install.sh";
const INSTALLER_PATIENCE_MS = 5_000;
/** Node type stripping, the gRPC events and the parameters that the SDK of this clone uses are there from this version on. */
const OLDEST_ENGINE = [3, 200];
const INSTALL_HELP = `Install Pulumi ${ENGINE_VERSION} (https://www.pulumi.com/docs/install) and run the same command again.`;

/** @returns undefined when the version fits, else the reason in words */
export function versionFault(versionLine) {
  const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(versionLine);
  const wanted = `${OLDEST_ENGINE.join(".")} or newer, and below ${OLDEST_ENGINE[0] + 1}, is needed`;
  if (found === null) return `it does not say its version; ${wanted}`;
  const [major, minor] = [Number(found[1]), Number(found[2])];
  if (major === OLDEST_ENGINE[0] && minor >= OLDEST_ENGINE[1]) return undefined;
  return `it is ${found[0]}; ${wanted}`;
}

/** The first `pulumi` on PATH that is not one of ours, and why it cannot be used, if so. */
async function userEngine(env, cache) {
  const ours = existsSync(cache) ? realpathSync(cache) + sep : undefined;
  for (const folder of (env.PATH ?? "").split(":")) {
    const pulumi = findOnPath("pulumi", folder);
    if (pulumi === undefined) continue;
    const real = realpathSync(pulumi);
    if (ours !== undefined && real.startsWith(ours)) continue;
    const { output } = await runProgram(pulumi, ["version"], { env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" } });
    const host = join(dirname(real), "pulumi-language-nodejs");
    const fault =
      versionFault(output) ??
      (existsSync(host) || findOnPath("pulumi-language-nodejs", env.PATH)
        ? undefined
        : "there is no pulumi-language-nodejs beside it, so it cannot run Node programs");
    return { pulumi, version: output.trim(), fault };
  }
  return undefined;
}

function officialEnvironment(pulumi) {
  return { pathFolder: dirname(pulumi), env: { LMSTACK_ENGINE_KIND: "official", PULUMI_SKIP_UPDATE_CHECK: "true" } };
}

function builtEnvironment(paths) {
  const env = {
    LMSTACK_ENGINE_KIND: "built",
    PULUMI_HOME: paths.home,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // There is nowhere to download from: a missing plugin should be named at once instead of after a time-out.
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    // Each start of Pulumi looks at every log of earlier ones. Its own limit of 500 MB is 20,000 files, a third of what a start costs.
    PULUMI_LOG_ROTATION_MAX_TOTAL_MB: process.env.PULUMI_LOG_ROTATION_MAX_TOTAL_MB ?? "16",
  };
  return { pathFolder: paths.bin, env };
}

/** Pulumi's own installer, into our cache; undefined when it cannot be reached in time. */
async function downloadOfficial(root) {
  let script;
  try {
    const response = await fetch(INSTALLER, { signal: AbortSignal.timeout(INSTALLER_PATIENCE_MS) });
    if (!response.ok) return undefined;
    script = await response.text();
  } catch {
    return undefined;
  }
  if (!script.startsWith("#!")) return undefined; // a captive portal answers too
  say(`engine: downloading Pulumi ${ENGINE_VERSION} with its official installer`);
  const staging = `${root}.new`;
  const args = ["-c", script, "install.sh", "--version", ENGINE_VERSION, "--install-root", staging, "--no-edit-path"];
  const started = Date.now();
  const progress = () => `engine: still downloading (${seconds(started)})`;
  const { code, output } = await withHeartbeat(progress, runProgram("sh", args));
  const pulumi = join(staging, "bin", "pulumi");
  if (code !== 0 || !existsSync(pulumi)) {
    rmSync(staging, { recursive: true, force: true });
    say(`engine: the official installer failed (${lastLines(output, 2)})`);
    return undefined;
  }
  renameSync(staging, root);
  return join(root, "bin", "pulumi");
}

/** Only the holder of the lock builds, so whatever half-built thing lies here was left by one that was killed. */
function removeLeftovers(cache) {
  const folder = join(cache, "engine");
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".new"))) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * @returns {Promise<{pathFolder: string, env: Record<string, string>}>} what the program that runs afterwards needs
 * @throws {SetupError}
 */
export async function ensureEngine(env = process.env) {
  const cache = cacheFolder(env);
  const found = await userEngine(env, cache);
  if (found !== undefined && found.fault === undefined) {
    say(`engine: Pulumi ${found.version} (${found.pulumi})`);
    return officialEnvironment(found.pulumi);
  }
  if (env.LMSTACK_ENGINE === "official") {
    const what =
      found === undefined ? "there is no `pulumi` on PATH" : `${found.pulumi} cannot be used: ${found.fault}`;
    throw new SetupError(`LMSTACK_ENGINE=official asks for an official engine, but ${what}.`, INSTALL_HELP);
  }
  if (found !== undefined) say(`engine: ${found.pulumi} is passed over: ${found.fault}`);

  const paths = enginePaths(cache, engineHashes());
  if (existsSync(paths.root)) {
    say(`engine: Pulumi ${ENGINE_VERSION}, built here earlier`);
    return builtEnvironment(paths);
  }
  const official = join(cache, "engine", `official-${ENGINE_VERSION}`);
  const downloaded = join(official, "bin", "pulumi");
  if (existsSync(downloaded)) {
    say(`engine: Pulumi ${ENGINE_VERSION}, downloaded earlier`);
    return officialEnvironment(downloaded);
  }
  const waiting = (pid) => say(`engine: another set-up (process ${pid}) is making it; waiting for that one`);
  return withLock(join(cache, "engine.lock"), waiting, async () => {
    removeLeftovers(cache);
    if (!existsSync(paths.root)) {
      const pulumi = existsSync(downloaded)
        ? downloaded
        : !existsSync(paths.built) && (await downloadOfficial(official));
      if (pulumi) return officialEnvironment(pulumi);
      await buildEngine(paths.built);
      await layOut(paths);
      say(`engine: Pulumi ${ENGINE_VERSION} is ready (${paths.root})`);
    }
    return builtEnvironment(paths);
  });
}
