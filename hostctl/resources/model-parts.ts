/** The files that a model consists of on this host: one, the parts of a multi-part GGUF in their order, or those of an MLX model's folder. */
import { access, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { FolderFile, ModelDocument, ModelFileDocument } from "../../infra/spec/host-documents.ts";
import { below, isFolder, partAddresses, partNames } from "../../infra/spec/model-names.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { digestOf } from "../digest.ts";
import type { Host } from "../host.ts";
import { dropUnnamed } from "../transfer/store.ts";
import { movedFiles } from "./import.ts";
import { folderNames } from "./model-folder.ts";

export interface ModelPart {
  /** Of a folder's file: its name below the folder, with slashes. */
  readonly name?: string;
  /** Where it lies: after a move, where it went. */
  readonly path: string;
  /** Null when neither the spec nor a hub told it. */
  readonly sha256: string | null;
  /** Where it is fetched from; empty for a person's own file. */
  readonly urls: readonly string[];
}

type Sourced = Pick<ModelFileDocument, "id" | "source" | "sha256" | "files">;

/** What a download was told to be, so that nothing is asked again. */
interface FetchedRecord {
  readonly key: string;
  readonly sha256: readonly string[];
  /** Of a folder's files, in the same order. */
  readonly names?: readonly string[];
  /** Of files that the model had before: they stay until the new ones serve. */
  readonly former?: readonly string[];
}

/** Empty for a folder that is not there, or was not fetched yet. */
export async function modelParts(host: Host, document: Sourced): Promise<ModelPart[]> {
  const { source } = document;
  const moved = await movedFiles(host, document.id);
  const told = document.files ?? (await readFetched(host, document)) ?? [];
  const own = document.sha256 === undefined || isFolder(source) ? null : [document.sha256].flat();
  const digests = own?.map((hex) => hex.toLowerCase()) ?? digestsIn(told);
  const theirs = "path" in source && isFolder(source);
  const names = theirs ? await folderNames(source.path, moved) : told.map(({ name }) => name);
  return await Promise.all(
    places(host, document, digests, names).map(async (place, index) => {
      const went = moved.find((file) => file.source === place.path);
      const gone = went !== undefined && (await isAbsent(place.path));
      return { ...place, path: gone ? went.target : place.path, sha256: digests[index] ?? null };
    }),
  );
}

/**
 * Before any move. A download has a folder for its bytes, so that the former ones lie beside them.
 * @param names of a folder's files
 */
export function places(
  host: Host,
  { id, source }: Sourced,
  digests: readonly string[],
  names: readonly string[],
): Omit<ModelPart, "sha256">[] {
  if (isFolder(source)) {
    const top = "path" in source ? source.path : downloadFolder(host, id, digests);
    const urls = (name: string) => ("url" in source ? [below(source.url, name)] : []);
    return names.map((name) => ({ name, path: join(top, name), urls: urls(name) }));
  }
  if ("path" in source) return partNames(source.path).map((path) => ({ path, urls: [] }));
  const folder = downloadFolder(host, id, digests);
  const own = `${encodeURIComponent(id)}.gguf`;
  const placed = (files: readonly string[]) => files.map((file) => join(folder, files.length === 1 ? own : file));
  if ("peers" in source) return placed(partNames(source.file)).map((path) => ({ path, urls: [] }));
  const { url, mirrors = [] } = source;
  const all = [url, ...mirrors].map(partAddresses);
  const files = (all[0] ?? []).map((address) => basename(decodeURIComponent(new URL(address).pathname)));
  return placed(files).map((path, index) => ({ path, urls: all.flatMap((addresses) => addresses[index] ?? []) }));
}

/** Where earlier lmstacks had a model's only file. */
export const formerFile = (host: Host, id: string): string =>
  join(host.paths.downloads, `${encodeURIComponent(id)}.gguf`);

export const downloadsOf = (host: Host, id: string): string => join(host.paths.downloads, encodeURIComponent(id));

const downloadFolder = (host: Host, id: string, digests: readonly string[]): string =>
  join(downloadsOf(host, id), digests.length === 0 ? "unknown" : digestOf(digests).slice(0, 16));

/** Names of GGUF files in LM Studio's folder, in the order of the parts. */
export function importNames({ source, repo }: Pick<ModelDocument, "source" | "repo">): [string, ...string[]] {
  const whole =
    "path" in source ? source.path : "peers" in source ? source.file : decodeURIComponent(new URL(source.url).pathname);
  const last = whole.slice(whole.lastIndexOf("/") + 1);
  return partNames(last.toLowerCase().endsWith(".gguf") ? last : `${repo}.gguf`) as [string, ...string[]];
}

/** Null when it was never fetched, or from another source. Names are those of a folder's files. */
export async function readFetched(host: Host, document: Sourced): Promise<readonly FolderFile[] | null> {
  const record = await readJson<FetchedRecord>(fetchedPath(host, document.id));
  if (record?.key !== keyOf(document)) return null;
  return record.sha256.map((sha256, index) => ({ name: record.names?.[index] ?? "", sha256 }));
}

/** Of whatever source, and of what the model was before. */
export async function fetchedBefore(host: Host, id: string): Promise<readonly string[]> {
  const record = await readJson<FetchedRecord>(fetchedPath(host, id));
  return [...(record?.sha256 ?? []), ...(record?.former ?? [])];
}

export async function writeFetched(host: Host, document: Sourced, files: readonly FolderFile[]): Promise<void> {
  const record = fetchedRecord(document, files);
  const former = (await fetchedBefore(host, document.id)).filter((digest) => !record.sha256.includes(digest));
  await writeJson(fetchedPath(host, document.id), { ...record, former } satisfies FetchedRecord);
}

const digestsIn = (files: readonly FolderFile[]): string[] => files.map(({ sha256 }) => sha256);

const fetchedRecord = (document: Sourced, files: readonly FolderFile[]): FetchedRecord => ({
  key: keyOf(document),
  sha256: digestsIn(files),
  ...(isFolder(document.source) ? { names: files.map(({ name }) => name) } : {}),
});

/** To be called when the model serves: the names of what it was before go, and the bytes with the last name. */
export async function pruneFetched(host: Host, document: Sourced): Promise<void> {
  const { id, source } = document;
  const digests = await fetchedBefore(host, id);
  const now = await readFetched(host, document);
  // A newer convergence fetches for the same model already.
  if (digests.length === 0 || (now === null && !("path" in source))) return;
  const keep = now === null ? null : basename(downloadFolder(host, id, digestsIn(now)));
  const names = await readdir(downloadsOf(host, id)).catch(() => []);
  for (const name of names)
    if (name !== keep) await rm(join(downloadsOf(host, id), name), { recursive: true, force: true });
  await rm(formerFile(host, id), { force: true });
  await dropUnnamed(host, await wantedByNoOther(host, id, digests));
  if (now === null) await dropFetched(host, id);
  else await writeJson(fetchedPath(host, id), fetchedRecord(document, now));
}

export async function dropFetched(host: Host, id: string): Promise<void> {
  await rm(downloadsOf(host, id), { recursive: true, force: true });
  await rm(fetchedPath(host, id), { force: true });
}

/** Without the digests of files that other models have, or wait for. */
export async function wantedByNoOther(host: Host, id: string, digests: readonly string[]): Promise<string[]> {
  const mine = basename(fetchedPath(host, id));
  const names = (await readdir(host.paths.downloads).catch(() => [])).filter((name) => name.endsWith(recordEnding));
  const others = await Promise.all(
    names.filter((name) => name !== mine).map((name) => readJson<FetchedRecord>(join(host.paths.downloads, name))),
  );
  return digests.filter((digest) => !others.some((record) => record?.sha256.includes(digest)));
}

const recordEnding = ".files.json";

const fetchedPath = (host: Host, id: string): string =>
  join(host.paths.downloads, `${encodeURIComponent(id)}${recordEnding}`);

const keyOf = ({ source, sha256 }: Sourced): string =>
  digestOf([
    "url" in source ? [source.url, source.hub ?? false] : "path" in source ? source.path : source.file,
    sha256,
  ]);

const isAbsent = (path: string): Promise<boolean> =>
  access(path).then(
    () => false,
    () => true,
  );
