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
import { readJson, stagingName, sweepStaging, syncFolder, writeJson } from "../atomic-file.ts";
import { recordedSha256, recordSha256, sha256Of } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { requireSpace } from "../lmstudio/prerequisites.ts";
import { modelsFolder } from "../lmstudio/settings.ts";

export interface ImportRecord {
  readonly target: string;
  readonly source: string;
  readonly mode: ModelDocument["import"];
  /** False when it was there already: then it is not ours to remove. */
  readonly made: boolean;
  /** The topmost folder that had to be made for it. */
  readonly firstFolder: string | null;
}

export async function readImport(host: Host, id: string): Promise<ImportRecord | null> {
  return await readJson<ImportRecord>(recordPath(host, id));
}

/** PUBLISHER/REPO/FILE under the models folder. */
export function exactPath(document: ModelDocument): string {
  const name =
    "path" in document.source ? document.source.path : decodeURIComponent(new URL(document.source.url).pathname);
  const last = name.slice(name.lastIndexOf("/") + 1);
  const file = last.toLowerCase().endsWith(".gguf") ? last : `${document.repo}.gguf`;
  return `${document.publisher}/${document.repo}/${file}`;
}

export async function importTarget(host: Host, document: ModelDocument): Promise<string> {
  return join(await modelsFolder(host), exactPath(document));
}

export async function importModel(host: Host, document: ModelDocument, file: string): Promise<Change[]> {
  let source = resolve(file);
  const target = await importTarget(host, document);
  const before = await readImport(host, document.id);
  const same =
    before !== null &&
    before.target === target &&
    before.mode === document.import &&
    (before.source === source || source === target);
  if (before?.made && !same) {
    await undoImport(host, document.id);
    // Moved back to where it came from.
    if (before.mode === "move" && source === before.target) source = before.source;
  }
  const wanted = { target, source, mode: document.import };
  if (await isThere(host, document, target, source, before?.made === true)) {
    if (!same)
      await writeJson(recordPath(host, document.id), {
        ...wanted,
        made: false,
        firstFolder: null,
      } satisfies ImportRecord);
    return [];
  }
  const firstFolder = (await mkdir(dirname(target), { recursive: true })) ?? before?.firstFolder ?? null;
  await sweepStaging([dirname(target)]);
  await writeJson(recordPath(host, document.id), { ...wanted, made: true, firstFolder } satisfies ImportRecord);
  const verified = document.import === "move" ? await recordedSha256(host, source) : null;
  await place(document.import, source, target);
  // Moved, so that nobody has to read it again.
  if (verified !== null) await recordSha256(host, target, verified);
  return [{ what: `import of ${document.id}`, from: null, to: `${document.import} ${target}` }];
}

/** True when the target is the right file already; false when it has to be made; a failure when something else lies there. */
async function isThere(
  host: Host,
  document: ModelDocument,
  target: string,
  source: string,
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
  if (sameFile && (document.import !== "copy" || !made)) return true;
  if (!found.isSymbolicLink() && a.size === b.size) {
    const digest = document.sha256?.toLowerCase() ?? (await sha256Of(host, source, document.id));
    if ((await sha256Of(host, target, document.id)) === digest) return true;
  }
  if (made) return await rm(target).then(() => false);
  const is = found.isSymbolicLink() ? `a link to ${await readlink(target)}` : `another file of ${a.size} bytes`;
  throw new HostFailure(
    "import_failed",
    `model ${document.id}: ${target} exists already and is ${is}, not ${source}`,
    "choose another publisher or repo in the spec, or remove that file",
  );
}

async function place(mode: ModelDocument["import"], source: string, target: string): Promise<void> {
  const staging = stagingName(target);
  try {
    if (mode === "symlink") await symlink(source, staging);
    else if (mode === "hard-link") await link(source, staging);
    else if (mode === "copy") await copyWhole(source, staging);
    else return await moveFile(source, target);
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

/** Across file systems the source goes only after the whole copy has its final name. */
async function moveFile(source: string, target: string): Promise<void> {
  try {
    await rename(source, target);
  } catch (error) {
    if (errno(error) !== "EXDEV") throw error;
    const staging = stagingName(target);
    await copyWhole(source, staging);
    await rename(staging, target);
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

/** Takes back exactly what was made: links and copies go, a moved file returns to where it was. */
export async function undoImport(host: Host, id: string): Promise<void> {
  const record = await readImport(host, id);
  if (record?.made) {
    if (record.mode !== "move") await rm(record.target, { force: true });
    else if (
      await stat(record.source).then(
        () => false,
        () => true,
      )
    ) {
      await mkdir(dirname(record.source), { recursive: true });
      await moveFile(record.target, record.source).catch((error: unknown) => {
        if (errno(error) !== "ENOENT") throw error;
      });
    } else if (dirname(record.source) === host.paths.downloads) {
      // Another download has taken its place; a person's file would stay.
      await rm(record.target, { force: true });
    }
    await sweepStaging([dirname(record.target)]);
    await removeFolders(dirname(record.target), record.firstFolder);
  }
  await rm(recordPath(host, id), { force: true });
}

/** Upwards to the topmost one that was made, as long as they are empty. */
async function removeFolders(folder: string, first: string | null): Promise<void> {
  for (let at = folder; first !== null && at.startsWith(first); at = dirname(at)) {
    if (
      !(await rmdir(at).then(
        () => true,
        () => false,
      ))
    )
      return;
  }
}

function recordPath(host: Host, id: string): string {
  return join(host.paths.state, "imports", `${encodeURIComponent(id)}.json`);
}
