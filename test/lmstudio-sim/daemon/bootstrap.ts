/** `./llmster bootstrap`: from an unpacked tarball to an installation in the user's home. */
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Traps } from "../traps.ts";
import { shippedEngines } from "./engines.ts";
import { installLocationFile, tempFolder } from "./home.ts";
import { writeJson } from "./settings.ts";

export interface BootstrapOptions {
  readonly home: string;
  /** The unpacked tree. */
  readonly from: string;
  readonly version: string;
  readonly traps: Traps;
}

/** The order is the real one's as far as it shows: nothing points to the new version before its files are there. */
export function bootstrap({ home, from, version, traps }: BootstrapOptions): string {
  const target = join(home, "llmster", version);
  if (from !== target) place(from, target);
  for (const folder of ["models", "hub/models", "extensions/backends", "config-presets", "server-logs", ".internal"])
    mkdirSync(join(home, folder), { recursive: true });
  const lacksTemp = traps.tempFolderMissing === "auto" ? version.startsWith("0.0.25") : traps.tempFolderMissing;
  if (!lacksTemp) mkdirSync(tempFolder(home), { recursive: true });
  for (const engine of shippedEngines) {
    writeJson(
      join(home, "extensions", "backends", `${engine.name}-${engine.version}`, "backend-manifest.json"),
      engine,
    );
  }
  const bin = join(home, "bin");
  mkdirSync(bin, { recursive: true });
  const lms = join(bin, "lms");
  rmSync(lms, { force: true });
  writeFileSync(lms, `#!/bin/sh\nexec "${target}/.bundle/node" "${target}/.bundle/lms.mjs" "$@"\n`);
  chmodSync(lms, 0o755);
  writeJson(installLocationFile(home), { path: join(target, "llmster"), argv: [], cwd: target });
  return target;
}

/** Links where both sides share a file system, copies elsewhere: the program is large. */
function place(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const source = join(from, name);
    const target = join(to, name);
    const status = lstatSync(source);
    if (status.isDirectory()) place(source, target);
    else {
      rmSync(target, { force: true });
      if (status.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
      else linkOrCopy(source, target);
    }
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}
