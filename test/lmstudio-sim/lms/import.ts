/** `lms import`: file operations only, no daemon. */
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, renameSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { readJson, settingsFile } from "../daemon/settings.ts";
import { ask, Fault, say } from "./console.ts";

export interface ImportFlags {
  readonly yes?: boolean;
  readonly userRepo?: string;
  readonly copy?: boolean;
  readonly hardLink?: boolean;
  readonly symbolicLink?: boolean;
  readonly dryRun?: boolean;
}

interface Mode {
  readonly done: string;
  readonly would: string;
  /** Moves warn and ask first. */
  readonly asks?: boolean;
  readonly act: (source: string, target: string) => void;
}

const modes = {
  copy: {
    done: "File copied to",
    would: "copy the file to",
    act: (source, target) => copyFileSync(source, target, constants.COPYFILE_EXCL),
  },
  hardLink: { done: "Hard link created at", would: "create a hard link at", act: linkSync },
  // The path goes in as it was typed: a relative one dangles.
  symbolicLink: {
    done: "Symbolic link created at",
    would: "create a symbolic link at",
    act: (source, target) => symlinkSync(source, target),
  },
  move: { done: "File moved to", would: "move the file to", asks: true, act: renameSync },
} satisfies Record<string, Mode>;

export async function importModel(home: string, file: string, flags: ImportFlags): Promise<void> {
  const chosen = (["copy", "hardLink", "symbolicLink"] as const).filter((mode) => flags[mode] === true);
  if (chosen.length > 1) throw new Fault("Cannot specify more than one of --copy, --hard-link, or --symbolic-link");
  const mode: Mode = modes[chosen[0] ?? "move"];
  if (!existsSync(file)) throw new Fault(`File does not exist: ${file}`);
  if (!statSync(file).isFile()) throw new Fault(`Path is not a file: ${file}`);
  const folder = join(downloadsFolder(home), await repository(flags));
  const target = join(folder, basename(file));
  // Follows links, so that a dangling one passes here and fails below with the system's own error.
  if (existsSync(target)) throw new Fault(`Target file already exists: ${target}`);
  if (mode.asks === true) await warnAboutMove(home, flags);
  if (flags.dryRun === true) {
    say(`Would ${mode.would} ${target}`);
    return say("But not actually doing it because of --dry-run");
  }
  mkdirSync(folder, { recursive: true });
  mode.act(file, target);
  say(`${mode.done} ${target}`);
}

function downloadsFolder(home: string): string {
  const settings = readJson(settingsFile(home));
  if (settings === null) {
    const fallback = join(home, "models");
    say(`Warning: Could not locate LM Studio configuration file, using default path: ${fallback}`);
    return fallback;
  }
  if (typeof settings.downloadsFolder !== "string") say("Warning: the configuration file has no downloadsFolder.");
  // Without that key the real one goes on with undefined and fails in the file system call.
  return settings.downloadsFolder as string;
}

async function repository(flags: ImportFlags): Promise<string> {
  if (flags.userRepo === undefined) {
    if (flags.yes === true) throw new Fault("Failed to look the file up on huggingface.co. Give --user-repo.");
    return await ask("User and repository for the model (user/repo):");
  }
  if (!/^[^/]+\/[^/]+$/.test(flags.userRepo)) throw new Fault("Must be user and repo separated by a slash.");
  return flags.userRepo;
}

/** `--yes` suppresses the warning and not the question. */
async function warnAboutMove(home: string, flags: ImportFlags): Promise<void> {
  if (readJson(join(home, ".internal", "cli-pref.json"))?.importWillMoveWarned === true) return;
  say(
    flags.yes === true
      ? "Warning about move suppressed by the --yes flag."
      : "Warning: the file will be moved, not copied.",
  );
  if (!/^y/i.test(await ask("Continue? (y/N)"))) throw new Fault("The prompt was cancelled.");
}
