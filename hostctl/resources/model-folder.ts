/** A model that is a folder, as MLX models are: which files it consists of, and the one digest of them all. */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { FolderFile, ModelFileDocument } from "../../infra/spec/host-documents.ts";
import { sha256Of } from "../checksum.ts";
import { sha256 } from "../digest.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { requireSpace } from "../lmstudio/prerequisites.ts";
import { listRepository, readSmallFile } from "../transfer/hub.ts";
import { isStored } from "../transfer/store.ts";
import type { ImportedFile } from "./import.ts";
import type { ModelPart } from "./model-parts.ts";
import { unreadable } from "./unreadable.ts";

/** A file of the hub. The small ones, of which it tells no sha256, were read to find that out. */
export type WantedFile = FolderFile & { readonly size: number; readonly content?: Buffer };

/**
 * SHA-256 of the lines `SHA256  NAME` in the order of the names' bytes, as a person gets it with
 * `find -L . -type f | grep -v '/[.]' | cut -c3- | LC_ALL=C sort | tr '\n' '\0' | xargs -0 shasum -a 256 | shasum -a 256`.
 */
export function folderDigest(files: readonly FolderFile[]): string {
  return sha256(
    [...files]
      .sort(byName)
      .map((file) => `${file.sha256}  ${file.name}\n`)
      .join(""),
  );
}

const byName = (a: { readonly name: string }, b: { readonly name: string }) =>
  Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

/** What Finder, git and hubs keep beside a model is none of it. */
const isHidden = (name: string): boolean => name.split("/").some((word) => word.startsWith("."));

/**
 * Of a folder of this host, sorted: its own files, and those that a move has taken from it. Links to files count, links to folders do not.
 * Empty when there is no such folder.
 */
export async function folderNames(folder: string, moved: readonly ImportedFile[]): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = moved.map(({ source }) => source).filter((source) => source.startsWith(`${folder}/`));
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(path)))) paths.push(path);
  }
  const names = new Set(paths.map((path) => relative(folder, path)).filter((name) => !isHidden(name)));
  return [...names]
    .map((name) => ({ name }))
    .sort(byName)
    .map(({ name }) => name);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * The files of a hub's folder, sorted, with a sha256 each: the large ones are not fetched yet.
 * @throws HostFailure `checksum_mismatch` when they are not what the spec pins
 */
export async function askFolder(host: Host, url: string, document: ModelFileDocument): Promise<WantedFile[]> {
  const { id, credential } = document;
  const what = `model ${id}`;
  const files: WantedFile[] = [];
  for (const listed of (await listRepository(url, what, credential)).filter(({ name }) => !isHidden(name))) {
    const { name, size } = listed;
    if (listed.sha256 !== null) files.push({ name, size, sha256: listed.sha256 });
    else {
      const content = await readSmallFile(url, listed, what, credential);
      files.push({ name, size, sha256: sha256(content), content });
    }
  }
  files.sort(byName);
  requireModel(
    document,
    files.map(({ name }) => name),
  );
  requireDigest(document, files, "nothing was fetched");
  const missing: number[] = [];
  for (const { sha256, size } of files) if (!(await isStored(host, sha256))) missing.push(size);
  await requireSpace(
    host.home,
    missing.reduce((sum, size) => sum + size, 0),
    `fetching ${what}`,
  );
  return files;
}

/** @throws HostFailure when the folder is no MLX model, or not the one that the spec and the hub tell of */
export async function checkFolder(host: Host, document: ModelFileDocument, parts: readonly ModelPart[]): Promise<void> {
  const { id, source } = document;
  if ("path" in source && parts.length === 0) await requireFolder(host, id, source.path);
  requireModel(
    document,
    parts.map(({ name = "" }) => name),
  );
  // A person's folder that nothing is said of is taken as it is.
  if ("path" in source && document.sha256 === undefined) return;
  const found: FolderFile[] = [];
  for (const { name = "", path, sha256 } of parts) {
    const digest = await sha256Of(host, path, `${id}, ${name}`);
    if (sha256 !== null && digest !== sha256)
      throw new HostFailure(
        "checksum_mismatch",
        `model ${id}: ${path} has sha256 ${digest}, but the hub told ${sha256}`,
        "run up again: it is fetched anew",
      );
    found.push({ name, sha256: digest });
  }
  requireDigest(document, found, "bring the right files");
}

async function requireFolder(host: Host, id: string, path: string): Promise<void> {
  await readdir(path).catch((error: unknown) => {
    throw unreadable(host, id, path, "folder", error);
  });
}

function requireModel({ id, source }: ModelFileDocument, names: readonly string[]): void {
  const tensors = names.some((name) => /^[^/]+\.safetensors$/.test(name));
  if (tensors && names.includes("config.json")) return;
  const where = "path" in source ? source.path : "url" in source ? source.url : "";
  throw new HostFailure(
    "file_missing",
    `model ${id}: ${where} is no MLX model: found no ${tensors ? "config.json" : "*.safetensors"} in it`,
    "name the folder or repository of an MLX model, or a .gguf file",
  );
}

function requireDigest({ id, sha256 }: ModelFileDocument, files: readonly FolderFile[], otherwise: string): void {
  const digest = folderDigest(files);
  if (sha256 === undefined || digest === String(sha256).toLowerCase()) return;
  throw new HostFailure(
    "checksum_mismatch",
    `model ${id}: the folder's ${files.length} files have the digest ${digest}, but the spec says ${sha256}`,
    `correct sha256 in the spec, or the source; ${otherwise}`,
  );
}
