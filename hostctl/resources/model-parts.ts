/** The files that a model consists of on this host: one, or the parts of a multi-part GGUF in their order. */
import { access } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ModelDocument, ModelFileDocument } from "../../infra/spec/host-documents.ts";
import { partNames } from "../../infra/spec/model-names.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { digestOf } from "../digest.ts";
import type { Host } from "../host.ts";
import { readImport } from "./import.ts";

export interface ModelPart {
  /** Where it lies: after a move, where it went. */
  readonly path: string;
  /** Null when neither the spec nor a hub told it. */
  readonly sha256: string | null;
  /** Where it is fetched from; empty for a person's own file. */
  readonly urls: readonly string[];
}

type Sourced = Pick<ModelFileDocument, "id" | "source" | "sha256">;

/** What a download was told to be, so that nothing is asked again. */
interface FetchedRecord {
  readonly key: string;
  readonly sha256: readonly string[];
}

export async function modelParts(host: Host, document: Sourced): Promise<[ModelPart, ...ModelPart[]]> {
  const told = (await readFetched(host, document)) ?? [];
  const digests = document.sha256 === undefined ? told : [document.sha256].flat().map((hex) => hex.toLowerCase());
  const moved = await readImport(host, document.id);
  const parts = await Promise.all(
    places(host, document).map(async ({ path, urls }, index) => {
      const went = moved?.mode === "move" ? moved.files.find(({ source, made }) => made && source === path) : undefined;
      const gone = went !== undefined && (await isAbsent(path));
      return { path: gone ? went.target : path, sha256: digests[index] ?? null, urls };
    }),
  );
  return parts as [ModelPart, ...ModelPart[]];
}

function places(host: Host, { id, source }: Sourced): { readonly path: string; readonly urls: readonly string[] }[] {
  if ("path" in source) return partNames(source.path).map((path) => ({ path, urls: [] }));
  if ("peers" in source) {
    const names = partNames(source.file);
    return names.map((name) => ({ path: downloadedFile(host, id, names.length === 1 ? null : name), urls: [] }));
  }
  const { url, mirrors = [] } = source;
  const all = [url, ...mirrors].map(partAddresses);
  const first = all[0] ?? [];
  return first.map((address, index) => ({
    path: downloadedFile(host, id, first.length === 1 ? null : basename(decodeURIComponent(new URL(address).pathname))),
    urls: all.flatMap((addresses) => addresses[index] ?? []),
  }));
}

function partAddresses(url: string): string[] {
  return partNames(new URL(url).pathname).map((pathname) => Object.assign(new URL(url), { pathname }).href);
}

/** @param part name of a part; null for the only file of a model */
export const downloadedFile = (host: Host, id: string, part: string | null = null): string =>
  part === null ? join(host.paths.downloads, `${encodeURIComponent(id)}.gguf`) : join(partsFolder(host, id), part);

export const partsFolder = (host: Host, id: string): string => join(host.paths.downloads, encodeURIComponent(id));

/** Names of the files in LM Studio's folder, in the order of the parts. */
export function importNames({ source, repo }: Pick<ModelDocument, "source" | "repo">): [string, ...string[]] {
  const whole =
    "path" in source ? source.path : "peers" in source ? source.file : decodeURIComponent(new URL(source.url).pathname);
  const last = whole.slice(whole.lastIndexOf("/") + 1);
  return partNames(last.toLowerCase().endsWith(".gguf") ? last : `${repo}.gguf`) as [string, ...string[]];
}

/** Null when it was never fetched, or from another source. */
export async function readFetched(host: Host, document: Sourced): Promise<readonly string[] | null> {
  const record = await readJson<FetchedRecord>(fetchedPath(host, document.id));
  return record?.key === keyOf(document) ? record.sha256 : null;
}

/** Of whatever source. */
export async function fetchedBefore(host: Host, id: string): Promise<readonly string[]> {
  return (await readJson<FetchedRecord>(fetchedPath(host, id)))?.sha256 ?? [];
}

export async function writeFetched(host: Host, document: Sourced, sha256: readonly string[]): Promise<void> {
  await writeJson(fetchedPath(host, document.id), { key: keyOf(document), sha256 } satisfies FetchedRecord);
}

export const fetchedPath = (host: Host, id: string): string =>
  join(host.paths.downloads, `${encodeURIComponent(id)}.files.json`);

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
