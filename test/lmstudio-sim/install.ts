/** LM Studio in a scratch home without a tarball: for tests that run the real `lms` commands side by side on one machine. */
import { readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { bundlePrograms, cacheRoot, contentHash, makeOnce, projectRoot } from "./bundle.ts";
import { bootstrap } from "./daemon/bootstrap.ts";
import { runningDaemon } from "./daemon/discovery.ts";
import { tempFolder } from "./daemon/home.ts";
import { writeJson } from "./daemon/settings.ts";
import { type ScriptModel, writeScriptModel } from "./gguf/script-model.ts";
import { type JournalEntry, readJournal } from "./journal.ts";
import { defaultTraps, type Traps, trapsFile } from "./traps.ts";

export interface InstallOptions {
  /** Default 0.0.25-1. */
  readonly version?: string;
  /** Over the defaults, except that `lms` does not dawdle here unless told to. */
  readonly traps?: Partial<Traps>;
  /** Already imported, each at `local/NAME/NAME.gguf`. */
  readonly models?: readonly ScriptModel[];
  /** Makes `.internal/temp`, which the 0.0.25 installer forgets. Default true. */
  readonly temp?: boolean;
}

export interface Installation {
  /** `HOME/.lmstudio`. */
  readonly home: string;
  /** Absolute path of `lms`. */
  readonly lms: string;
  setTraps(traps: Partial<Traps>): void;
  journal(): JournalEntry[];
  /** Ends the daemon if one runs and waits until it has gone. */
  stop(): Promise<void>;
}

/** `userHome` becomes HOME of whoever calls `lms`; run it with `env: {...process.env, HOME: userHome}`. */
export async function installInto(userHome: string, options: InstallOptions = {}): Promise<Installation> {
  const { version = "0.0.25-1", models = [], temp = true } = options;
  const home = join(userHome, ".lmstudio");
  const setTraps = (traps: Partial<Traps>): void =>
    writeJson(trapsFile(home), { lmsDelayMs: 0, wakePollMs: 30, verifyIntervalMs: 100, downExitMs: 50, ...traps });
  setTraps(options.traps ?? {});
  await mkdir(home, { recursive: true });
  bootstrap({ home, from: await developmentTree(version), version, traps: { ...defaultTraps, ...options.traps } });
  if (temp) await mkdir(tempFolder(home), { recursive: true });
  for (const model of models)
    await writeScriptModel(join(home, "models", "local", model.name, `${model.name}.gguf`), model);
  return {
    home,
    lms: join(home, "bin", "lms"),
    setTraps,
    journal: () => readJournal(home),
    stop: () => stopDaemon(home),
  };
}

/** What an unpacked tarball holds, with links to this machine's Node and packages instead of copies. */
async function developmentTree(version: string): Promise<string> {
  const programs = await bundlePrograms();
  const folder = join(cacheRoot(), "lmstudio-sim", `tree-${await contentHash(version, process.execPath, projectRoot)}`);
  return await makeOnce(folder, async (staging) => {
    await writeLauncher(staging, programs, version);
    await symlink(process.execPath, join(staging, ".bundle", "node"));
    await symlink(join(projectRoot, "node_modules"), join(staging, ".bundle", "node_modules"));
  });
}

export async function writeLauncher(tree: string, programs: string, version: string): Promise<void> {
  const bundle = join(tree, ".bundle");
  await mkdir(bundle, { recursive: true });
  for (const name of ["lms.mjs", "llmster.mjs"]) await copyFile(join(programs, name), join(bundle, name));
  await writeFile(join(bundle, "version.json"), `${JSON.stringify({ version })}\n`);
  const launcher = join(tree, "llmster");
  await writeFile(
    launcher,
    '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexec "$here/.bundle/node" "$here/.bundle/llmster.mjs" "$@"\n',
  );
  await chmod(launcher, 0o755);
}

export async function stopDaemon(home: string): Promise<void> {
  const found = await runningDaemon(home);
  if (found === null) return;
  try {
    process.kill(found.pid, "SIGTERM");
    for (let tries = 0; tries < 400; tries += 1) {
      if (isDead(found.pid)) return;
      await delay(10);
    }
    process.kill(found.pid, "SIGKILL");
  } catch {
    // Gone, which is what was wanted.
  }
}

/** Gone, or a zombie: in a container the first process may take a second to bury its adopted children. */
function isDead(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.startsWith("Z") ?? true;
  } catch {
    return true;
  }
}
