// The packages of the clone: installed when what lies in node_modules is not what the lock file says.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { clone, cloneNode } from "./folders.mjs";
import { findOnPath, lastLines, runProgram } from "./program.mjs";
import { SetupError, say, seconds, withHeartbeat } from "./report.mjs";

function packagesIn(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return undefined;
  }
}

/**
 * Paths of packages that are locked and not installed in that version. npm notes what it has installed, and does so last: a killed
 * `npm ci` leaves no note. Packages for other platforms are locked as optional and rightly absent.
 */
export function differences(locked, installed) {
  return Object.keys(locked).filter((path) => {
    if (path === "") return false;
    const there = installed[path];
    return there === undefined ? !locked[path].optional : there.version !== locked[path].version;
  });
}

function npmCommand(env) {
  // Inside `npm run` this very npm; else the one on PATH.
  if (env.npm_execpath?.endsWith(".js") && existsSync(env.npm_execpath)) return [process.execPath, env.npm_execpath];
  const npm = findOnPath("npm", env.PATH);
  if (npm === undefined) {
    throw new SetupError("there is no npm on PATH.", "Install Node with its npm (https://nodejs.org/en/download).");
  }
  return [npm];
}

/** npm puts its reasons first and its usage last. */
function npmReasons(output) {
  const reasons = output
    .split("\n")
    .filter((line) => /^npm (error|ERR!) +\S/.test(line) && !/Usage|Options|--/.test(line));
  return reasons.length > 0 ? reasons.slice(0, 12).join("\n") : lastLines(output);
}

export async function ensurePackages(env = process.env) {
  const locked = packagesIn(join(clone, "package-lock.json"));
  if (locked === undefined) {
    throw new SetupError("package-lock.json is missing or broken.", "Restore it: git checkout package-lock.json");
  }
  const installed = packagesIn(join(clone, "node_modules", ".package-lock.json"));
  const missing = installed === undefined ? undefined : differences(locked, installed);
  if (missing?.length === 0 && existsSync(cloneNode)) return say("packages: as package-lock.json says");

  const started = Date.now();
  say(
    missing === undefined
      ? "packages: installing what package-lock.json names (npm ci)"
      : `packages: ${missing.length || "some"} of them differ from package-lock.json, installing again (npm ci)`,
  );
  const [npm, ...first] = npmCommand(env);
  // Nothing that is needed has an install script; the one of @pulumi/command would try to download a plugin.
  const args = [...first, "ci", "--ignore-scripts", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const install = runProgram(npm, args, { cwd: clone, env });
  const { code, output } = await withHeartbeat(() => `packages: npm is still at it (${seconds(started)})`, install);
  if (code !== 0) {
    throw new SetupError(
      `npm ci failed:\n${npmReasons(output)}`,
      "Check that npm can reach its registry (npm ping) and run the same command again.",
    );
  }
  if (!existsSync(cloneNode)) {
    throw new SetupError(
      `npm installed no Node 26 for ${process.platform}-${process.arch}: the platforms are linux-x64, linux-arm64 and darwin-arm64.`,
      `Put a Node 26 at ${cloneNode} yourself, then run the same command again.`,
    );
  }
  return say(`packages: installed in ${seconds(started)}`);
}
