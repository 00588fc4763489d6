/** `lmstack codex install` and `uninstall`: a stack's files for the Codex CLI, from the stack's outputs into this user's Codex folder and out again. */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Artifact, endpointFiles } from "../codex/artifacts.ts";
import { homeFaults } from "../codex/home-faults.ts";
import { type Change, type InstallRecord, planInstall, planUninstall, recordName } from "../codex/install.ts";
import { readEnvironment, readProfile } from "../codex/profile.ts";
import { type CatalogEntry, renderCatalog } from "../spec/codex-catalog.ts";
import { agree } from "./ask.ts";
import { changeLines } from "./change-lines.ts";
import { CliFault } from "./fault.ts";
import { askPulumi } from "./pulumi.ts";

export interface CodexOptions {
  readonly stack?: string;
  readonly codexHome?: string;
  readonly profile?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** By name, as the stack's output `codex` has them. */
export type StackFiles = Readonly<Record<string, { readonly content: string; readonly mode: number }>>;

export const codexFolder = ({ codexHome }: CodexOptions): string =>
  codexHome ?? process.env.CODEX_HOME ?? join(homedir(), ".codex");

export async function install(options: CodexOptions): Promise<void> {
  const output = await askPulumi(["stack", "output", "--json", "--show-secrets"], options.stack);
  const { codex } = JSON.parse(output) as { codex?: StackFiles };
  if (!codex) throw new CliFault("the stack has no Codex files yet. Next: `npx lmstack up`");
  await installFiles(codex, options);
}

export async function installFiles(stored: StackFiles, options: CodexOptions): Promise<void> {
  const folder = codexFolder(options);
  const { name, stack, files } = await filesFor(stored, options.profile);
  const faults = homeFaults(join(folder, "config.toml"), (await textOf(folder, "config.toml")) ?? "", name);
  if (faults.length > 0) throw new CliFault(faults.join("\n"));
  const record = await recordOf(folder, name);
  const texts = await textsOf(folder, [...files.map((file) => file.name), ...Object.keys(record?.files ?? {})]);
  const plan = planned(folder, name, () => planInstall(files, options.stack ?? stack, texts, record));
  const done = await carryOut(folder, plan.changes, options, () =>
    // First: whatever happens next can be taken back.
    write(folder, { name: recordName(name), after: `${JSON.stringify(plan.record, null, 2)}\n`, mode: 0o600 }),
  );
  if (!done) return;
  // A key must not stay readable for others, whoever made the file.
  await chmod(join(folder, `${name}.env`), 0o600);
  if (!options.json) console.log(`start Codex with ${join(folder, `codex-${name}`)}`);
}

export async function uninstall(options: CodexOptions): Promise<void> {
  const folder = codexFolder(options);
  const name = options.profile ?? (await installedProfile(folder));
  const record = await recordOf(folder, name);
  if (record === undefined)
    throw new CliFault(
      `${folder} has no ${recordName(name)}, which tells what was there before. Next: remove the files by hand`,
    );
  const texts = await textsOf(folder, Object.keys(record.files));
  const { changes, kept } = planned(folder, name, () => planUninstall(record, texts));
  if (!(await carryOut(folder, changes, options))) return;
  await rm(join(folder, recordName(name)));
  for (const file of kept) console.error(`${join(folder, file)} was changed since, and stays`);
}

/**
 * What is put into the folder: the stack's files, under another name when one is wished. Without a key Codex never asks the endpoint for its catalog, so
 * the file gets what is served right now; the stack's own has what is declared.
 */
async function filesFor(
  stored: StackFiles,
  profile: string | undefined,
): Promise<{ name: string; stack: string; files: Artifact[] }> {
  const stack =
    Object.keys(stored)
      .find((name) => name.endsWith(".config.toml"))
      ?.slice(0, -".config.toml".length) ?? "";
  const part = (ending: string): string => stored[`${stack}${ending}`]?.content ?? "";
  const name = profile ?? stack;
  if (!/^[A-Za-z0-9_-]+$/.test(name))
    throw new CliFault(
      `${JSON.stringify(name)} is no name for a profile: Codex takes letters, digits, '-' and '_'. Next: another --profile`,
    );
  const endpoint = readProfile(name, part(".config.toml"));
  if (endpoint === undefined) throw new CliFault("the stack's profile cannot be read. Next: `npx lmstack up`");
  const catalog = endpoint.keyed ? undefined : await servedCatalog(endpoint.baseUrl);
  const { key } = readEnvironment(part(".env"));
  const files = endpointFiles(endpoint, key, catalog ?? part(".catalog.json"));
  return { name, stack, files: files.filter((file) => !file.name.endsWith(".README.md")) };
}

async function servedCatalog(baseUrl: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${baseUrl}/models`, { signal: AbortSignal.timeout(5_000) });
    const { models } = (await answer.json()) as { models?: CatalogEntry[] };
    return answer.ok && Array.isArray(models) && models.length > 0 ? renderCatalog(models) : undefined;
  } catch {
    return undefined;
  }
}

/** The one profile that was installed here. */
export async function installedProfile(folder: string): Promise<string> {
  const all = await readdir(folder).catch(() => []);
  const names = all.flatMap((file) => /^([\w-]+)\.lmstack\.json$/.exec(file)?.[1] ?? []);
  if (names.length === 1) return names[0] as string;
  throw new CliFault(
    names.length === 0
      ? `nothing of lmstack is installed in ${folder}. Next: \`npx lmstack codex install\``
      : `several profiles are installed in ${folder}: ${names.join(", ")}. Next: name one with --profile`,
  );
}

function planned<Plan>(folder: string, name: string, plan: () => Plan): Plan {
  try {
    return plan();
  } catch (error) {
    const words = (error as Error).message.split("\n")[0];
    throw new CliFault(
      `${join(folder, `${name}.config.toml`)} cannot be changed: ${words}. Next: correct it, or install with --profile OTHER-NAME`,
      {
        cause: error,
      },
    );
  }
}

/** Shows the changes, asks, and makes them. @returns whether they are made, or were already */
async function carryOut(
  folder: string,
  changes: readonly Change[],
  options: CodexOptions,
  first: () => Promise<void> = async () => {},
): Promise<boolean> {
  const apply = !options.dryRun && (changes.length === 0 || (await agreed(folder, changes, options)));
  if (options.dryRun && !options.json) show(folder, changes);
  if (apply) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await first();
    for (const change of changes) await write(folder, change);
  }
  if (options.json) {
    const action = ({ before, after }: Change) =>
      before === undefined ? "create" : after === undefined ? "remove" : "change";
    console.log(
      JSON.stringify({
        folder,
        applied: apply,
        changes: changes.map((change) => ({ file: change.name, action: action(change) })),
      }),
    );
  }
  return apply;
}

function show(folder: string, changes: readonly Change[]): void {
  if (changes.length === 0) console.log(`${folder} is as it should be`);
  else console.log([`in ${folder}:`, ...changes.flatMap(changeLines)].join("\n"));
}

async function agreed(folder: string, changes: readonly Change[], { yes, json }: CodexOptions): Promise<boolean> {
  if (!json) show(folder, changes);
  if (!yes)
    await agree(
      "make these changes?",
      "nothing was changed: there is no terminal to ask at. Next: the same with --yes, or --dry-run",
    );
  return true;
}

/** Whole or not at all: a Codex that is starting just now finds the old file or the new one. A link stays one; a secret is never readable for others. */
async function write(folder: string, { name, after, mode }: Pick<Change, "name" | "after" | "mode">): Promise<void> {
  const file = await realpath(join(folder, name)).catch(() => join(folder, name));
  if (after === undefined) return await rm(file, { force: true });
  const staging = `${file}.${randomUUID()}`;
  try {
    await writeFile(staging, after, { mode });
    await chmod(staging, mode);
    await rename(staging, file);
  } catch (error) {
    await rm(staging, { force: true });
    throw error;
  }
}

export async function textOf(folder: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CliFault(`${join(folder, name)} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
}

const textsOf = async (folder: string, names: readonly string[]): Promise<Record<string, string | undefined>> =>
  Object.fromEntries(await Promise.all(names.map(async (name) => [name, await textOf(folder, name)] as const)));

async function recordOf(folder: string, name: string): Promise<InstallRecord | undefined> {
  const text = await textOf(folder, recordName(name));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as InstallRecord;
  } catch (cause) {
    throw new CliFault(
      `${join(folder, recordName(name))} is damaged. Next: remove it; what is installed then counts as yours`,
      { cause },
    );
  }
}
