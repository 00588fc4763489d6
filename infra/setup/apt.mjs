// Debian packages that set-up and the test hosts need: installed where that is allowed, else named with the command to type.

import { existsSync } from "node:fs";
import { findOnPath, lastLines, runProgram } from "./program.mjs";
import { SetupError, say, seconds, withHeartbeat } from "./report.mjs";

export function installCommand(names) {
  return `apt-get update && apt-get install -y --no-install-recommends ${names.join(" ")}`;
}

async function missingPackages(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
  const query = ["-W", "-f", "${Package} ${db:Status-Status}\\n", ...names];
  const { output } = await runProgram("dpkg-query", query);
  const installed = new Set(
    output
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return names.filter((name) => !installed.has(name));
}

export function isDebian() {
  return existsSync("/etc/debian_version") && findOnPath("apt-get") !== undefined;
}

/**
 * Installs those of `names` that are missing; `why` completes the sentence "… is needed".
 * @throws {SetupError} with the exact command where this is not Debian, or we are not root, or apt fails
 */
export async function ensureDebianPackages(names, why) {
  const missing = isDebian() ? await missingPackages(names) : names;
  if (missing.length === 0) return;
  const list = missing.join(" ");
  if (!isDebian()) {
    throw new SetupError(
      `${why}: ${list} is needed.`,
      "Install it with the package manager of this machine, then try again.",
    );
  }
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `${why}: ${list} is needed, and installing it needs root.`,
      `Run: sudo sh -c '${installCommand(missing)}'`,
    );
  }
  const started = Date.now();
  say(`apt: installing ${list} (${why})`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const work = (async () => {
    const update = await runProgram("apt-get", ["update"], { env });
    const install = await runProgram("apt-get", ["install", "-y", "--no-install-recommends", ...missing], { env });
    return { code: install.code, output: update.code === 0 ? install.output : update.output + install.output };
  })();
  const { code, output } = await withHeartbeat(() => `apt: still installing (${seconds(started)})`, work);
  if (code !== 0) {
    throw new SetupError(
      `apt-get could not install ${list}:\n${lastLines(output)}`,
      `Run it by hand: ${installCommand(missing)}`,
    );
  }
  say(`apt: done in ${seconds(started)}`);
}
