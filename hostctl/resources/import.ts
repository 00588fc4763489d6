/**
 * Bringing a file into LM Studio's models folder. `lms import` is a pure file operation without the daemon, but it prompts when it moves
 * (even with -y), makes dangling links from relative paths, fails on links that dangle, and leaves half a copy when killed; so the same
 * operation is done here, under a staging name.
 */
import {
  constants,
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Change, ModelDocument } from "../../infra/spec/host-documents.ts";
import { isFolder } from "../../infra/spec/model-names.ts";
import { readJson, stagingName, sweepStaging, syncFolder, writeJson } from "../atomic-file.ts";
import { hashFile, recordedSha256, recordSha256, sha256Of } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { requireSpace } from "../lmstudio/prerequisites.ts";
import { modelsFolder } from "../lmstudio/settings.ts";
import { importNames, type ModelPart } from "./model-parts.ts";

export interface ImportedFile {
  readonly target: string;
  readonly source: string;
  /** False when it was there already: then it is not ours to remove. */
  readonly made: boolean;
}

interface Import {
  readonly mode: ModelDocument["import"];
  readonly files: readonly ImportedFile[];
  /** The topmost folder that had to be made for it. */
  readonly firstFolder: string | null;
  /** Others that had to be made for it, in a folder that was there: the topmost ones again. */
  readonly folders?: readonly string[];
}

export interface ImportRecord extends Import {
  /** What the model was before: it stays until this import serves. */
  readonly former?: readonly Import[];
}

/** As lmstack wrote it before models had several files. */
type FormerRecord = Omit<ImportRecord, "files"> & ImportedFile;

export async function readImport(host: Host, id: string): Promise<ImportRecord | null> {
  const record = await readJson<ImportRecord | FormerRecord>(recordPath(host, id));
  if (record === null || "files" in record) return record;
  const { mode, firstFolder, target, source, made } = record;
  return { mode, firstFolder, files: [{ target, source, made }] };
}

/** Files that a move of this model has taken from where they were, the former import's too. */
export async function movedFiles(host: Host, id: string): Promise<readonly ImportedFile[]> {
  return importsOf(await readImport(host, id)).flatMap(({ mode, files }) =>
    mode === "move" ? files.filter(({ made }) => made) : [],
  );
}

/**
 * PUBLISHER/REPO/FILE under the models folder, as `lms ls` shows it: of the first file, which stands for all parts. A model that is a folder
 * is shown as PUBLISHER/REPO.
 */
export function exactPath(document: ModelDocument): string {
  const repo = `${document.publisher}/${document.repo}`;
  return isFolder(document.source) ? repo : `${repo}/${importNames(document)[0]}`;
}

export async function importTargets(
  host: Host,
  document: ModelDocument,
  parts: readonly ModelPart[],
): Promise<string[]> {
  const folder = join(await modelsFolder(host), document.publisher, document.repo);
  const names = isFolder(document.source) ? parts.map(({ name = "" }) => name) : importNames(document);
  return names.map((name) => join(folder, name));
}

export async function importModel(host: Host, document: ModelDocument, parts: readonly ModelPart[]): Promise<Change[]> {
  const targets = await importTargets(host, document, parts);
  if (targets.length === 0)
    throw new HostFailure(
      "file_missing",
      `model ${document.id}: no file of its folder is on this host`,
      "run up again: files come before imports",
    );
  const before = await readImport(host, document.id);
  let wanted = targets.map((target, index) => ({ target, source: resolve(parts[index]?.path ?? "") }));
  const same =
    before !== null &&
    before.mode === document.import &&
    before.files.length === wanted.length &&
    wanted.every(({ target, source }) =>
      before.files.some((file) => file.target === target && [target, file.source].includes(source)),
    );
  let kept = importsOf(before);
  if (before !== null && !same && isInTheWay(before, document.import, wanted)) {
    await undoImport(host, document.id);
    kept = [];
    // Moved back to where they came from.
    if (before.mode === "move")
      wanted = wanted.map(({ target, source }) => ({
        target,
        source: before.files.find((file) => file.target === source)?.source ?? source,
      }));
  }
  const known = (target: string) => kept.flatMap(({ files }) => files).find((file) => file.target === target);
  const digest = (index: number) => parts[index]?.sha256 ?? null;
  const missing: { target: string; source: string; sha256: string | null }[] = [];
  const files: ImportedFile[] = [];
  for (const [index, { target, source }] of wanted.entries()) {
    const made = known(target)?.made === true;
    const there = await isThere(host, document, { target, source, sha256: digest(index) }, made);
    if (!there) missing.push({ target, source, sha256: digest(index) });
    // The source of a move is remembered when the file itself lies at its target already.
    const from = source === target ? (known(target)?.source ?? source) : source;
    files.push({ target, source: from, made: !there || made });
  }
  if (missing.length === 0 && same) return [];
  const folder = join(await modelsFolder(host), document.publisher, document.repo);
  const firstMade = missing.length === 0 ? undefined : await mkdir(folder, { recursive: true });
  const firstBefore = before?.firstFolder ?? null;
  const firstFolder = firstBefore !== null && isBelow(folder, firstBefore) ? firstBefore : (firstMade ?? null);
  const folders = [...(before?.folders ?? [])];
  for (const { target } of missing) {
    const made = await mkdir(dirname(target), { recursive: true });
    if (made !== undefined) folders.push(made);
  }
  await sweepStaging([...new Set(targets.map((target) => dirname(target)))]);
  const former = (same ? kept.slice(1) : kept)
    .map((one) => ({ ...one, files: one.files.filter(({ made, target }) => made && !targets.includes(target)) }))
    .filter((one) => one.files.length > 0);
  const record: ImportRecord = {
    ...{ mode: document.import, files, firstFolder },
    ...(folders.length > 0 ? { folders } : {}),
    ...(former.length > 0 ? { former } : {}),
  };
  await writeJson(recordPath(host, document.id), record);
  for (const { target, source, sha256 } of missing) {
    const verified = document.import === "move" ? await recordedSha256(host, source) : null;
    await place(document.import, source, target, sha256);
    // Moved, so that nobody has to read it again.
    if (verified !== null) await recordSha256(host, target, verified);
  }
  const first = missing[0];
  return first === undefined
    ? []
    : [{ what: `import of ${document.id}`, from: null, to: `${document.import} ${first.target}` }];
}

function importsOf(record: ImportRecord | null): readonly Import[] {
  if (record === null) return [];
  const { former = [], ...now } = record;
  return [now, ...former];
}

/** The former import cannot stay beside the new one. */
function isInTheWay(before: Import, mode: Import["mode"], wanted: readonly Omit<ImportedFile, "made">[]): boolean {
  if (!before.files.some(({ made }) => made)) return false;
  if (before.mode !== mode) return true;
  const meets = (file: ImportedFile) =>
    wanted.some(({ target, source }) => [file.target, file.source].includes(source) || target === file.target);
  return mode === "move" && before.files.some(meets);
}

/** To be called when the new import serves: what the model was before goes. */
export async function finishImport(host: Host, id: string): Promise<void> {
  const record = await readImport(host, id);
  if (record?.former === undefined) return;
  const { former, ...now } = record;
  for (const one of former) await undoFiles(host, one);
  await writeJson(recordPath(host, id), now satisfies ImportRecord);
}

/** True when the target is the right file already; false when it has to be made; a failure when something else lies there. */
async function isThere(
  host: Host,
  document: ModelDocument,
  { target, source, sha256 }: { readonly target: string; readonly source: string; readonly sha256: string | null },
  made: boolean,
): Promise<boolean> {
  const found = await lstat(target).catch(() => null);
  if (found === null) return false;
  if (target === source) return true;
  const resolved = await realpath(target).catch(() => null);
  // A link to nowhere serves nobody.
  if (resolved === null) return await rm(target).then(() => false);
  const [a, b] = await Promise.all([stat(target), stat(source).catch(() => null)]);
  if (b === null) {
    throw new HostFailure(
      "file_missing",
      `model ${document.id}: ${source} is gone; ${target} was left as it is`,
      "bring the file back, or correct source in the spec",
    );
  }
  const sameFile = a.dev === b.dev && a.ino === b.ino;
  // A link of ours has to lead to its own source: another name of the same file may go.
  const astray = made && found.isSymbolicLink() && (await readlink(target)) !== source;
  if (sameFile && !astray && (document.import !== "copy" || !made)) return true;
  if (!found.isSymbolicLink() && a.size === b.size) {
    const digest = sha256 ?? (await sha256Of(host, source, document.id));
    if ((await sha256Of(host, target, document.id)) === digest) return true;
  }
  // What a person's file was moved to is that file.
  const theirs = document.import === "move" && "path" in document.source;
  if (made && !theirs) return false;
  const is = found.isSymbolicLink() ? `a link to ${await readlink(target)}` : `another file of ${a.size} bytes`;
  throw new HostFailure(
    "import_failed",
    `model ${document.id}: ${target} exists already and is ${is}, not ${source}`,
    "choose another publisher or repo in the spec, or remove that file",
  );
}

async function place(
  mode: ModelDocument["import"],
  source: string,
  target: string,
  sha256: string | null,
): Promise<void> {
  const staging = stagingName(target);
  try {
    if (mode === "symlink") await symlink(source, staging);
    else if (mode === "hard-link") await link(source, staging);
    else if (mode === "copy") await copyWhole(source, staging);
    else return await moveFile(source, target, sha256);
    await rename(staging, target);
  } catch (error) {
    await rm(staging, { force: true });
    if (errno(error) !== "EXDEV") throw error;
    throw new HostFailure(
      "import_failed",
      `${source} and LM Studio's models folder lie on different file systems, so it cannot be hard-linked`,
      "use import: symlink",
      error,
    );
  }
  await syncFolder(dirname(target));
}

/**
 * Across file systems the source goes only after a copy that was read back and found right has the final name, and its name is on the disk.
 * @param sha256 of the source, where it is known
 */
export async function moveFile(source: string, target: string, sha256: string | null): Promise<void> {
  try {
    await rename(source, target);
    await syncFolder(dirname(target));
    await syncFolder(dirname(source));
  } catch (error) {
    if (errno(error) !== "EXDEV") throw error;
    const staging = stagingName(target);
    try {
      await copyWhole(source, staging);
      const [copy, original] = [await hashFile(staging, "sha256"), sha256 ?? (await hashFile(source, "sha256"))];
      if (copy !== original)
        throw new HostFailure(
          "checksum_mismatch",
          `the copy of ${source} for ${target} has sha256 ${copy} instead of ${original}; the file stays where it is`,
          "check that disk, or use import: symlink",
        );
      await rename(staging, target);
    } finally {
      await rm(staging, { force: true });
    }
    await syncFolder(dirname(target));
    await unlink(source);
  }
}

async function copyWhole(source: string, staging: string): Promise<void> {
  await requireSpace(dirname(staging), (await stat(source)).size, `copying ${source}`);
  await copyFile(source, staging, constants.COPYFILE_FICLONE);
  const handle = await open(staging, "r");
  await handle.sync().finally(() => handle.close());
}

/** Takes back exactly what was made: links and copies go, moved files return to where they were. */
export async function undoImport(host: Host, id: string): Promise<void> {
  for (const one of importsOf(await readImport(host, id))) await undoFiles(host, one);
  await rm(recordPath(host, id), { force: true });
}

async function undoFiles(host: Host, one: Import): Promise<void> {
  for (const file of one.files) if (file.made) await undoFile(host, one, file);
}

async function undoFile(host: Host, { mode, firstFolder, folders = [] }: Import, file: ImportedFile): Promise<void> {
  const { target, source } = file;
  if (mode !== "move") await rm(target, { force: true });
  else if (
    await stat(source).then(
      () => false,
      () => true,
    )
  ) {
    await mkdir(dirname(source), { recursive: true });
    await moveFile(target, source, await recordedSha256(host, target)).catch((error: unknown) => {
      if (errno(error) !== "ENOENT") throw error;
    });
  } else if (source.startsWith(`${host.paths.downloads}/`)) {
    // Another download has taken its place; a person's file would stay.
    await rm(target, { force: true });
  }
  await sweepStaging([dirname(target)]);
  await removeFolders(dirname(target), firstFolder === null ? folders : [firstFolder, ...folders]);
}

/** Upwards to the topmost one that was made, as long as they are empty. */
async function removeFolders(folder: string, tops: readonly string[]): Promise<void> {
  for (let at = folder; tops.some((top) => isBelow(at, top)); at = dirname(at)) {
    if (
      !(await rmdir(at).then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}

const isBelow = (folder: string, top: string): boolean => `${folder}/`.startsWith(`${top}/`);

function recordPath(host: Host, id: string): string {
  return join(host.paths.state, "imports", `${encodeURIComponent(id)}.json`);
}
