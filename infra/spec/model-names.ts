/** Names derived from a model's source: the files' names, the repository folder that LM Studio keeps them in, and where a hub file lies. */
import type { ModelSourceDocument } from "./host-documents.ts";

export interface ModelSource {
  readonly path?: string | undefined;
  readonly url?: string | undefined;
  readonly hf?: string | undefined;
  readonly peer?: readonly string[] | undefined;
  readonly peerStacks?: readonly string[] | undefined;
  readonly file?: string | undefined;
  readonly mirrors?: readonly string[] | undefined;
  readonly endpoint?: string | undefined;
  readonly bytesPerSecond?: number | undefined;
}

const hubForm = /^([\w.-]+)\/([\w.-]+)(?:\/(.+\.gguf))?@([\w./-]+)$/i;
const ggufForm = /\.gguf$/i;

/**
 * `owner/repo/file@revision` as a download address; of `owner/repo@revision`, a whole repository, the address that its files lie below.
 * Null when the form is wrong.
 */
export function hubUrl(reference: string, endpoint = "https://huggingface.co"): string | null {
  const match = hubForm.exec(reference);
  if (!match) return null;
  const [, owner, repo, file, revision = ""] = match;
  const base = `${endpoint.replace(/\/+$/, "")}/${owner}/${repo}/resolve/${encodeURIComponent(revision)}`;
  return file === undefined ? base : below(base, file);
}

/** The address of a file below that of a folder. */
export const below = (base: string, name: string): string =>
  `${base}/${name.split("/").map(encodeURIComponent).join("/")}`;

/** An MLX model is a folder: a path or a hub's repository that names no GGUF file. */
export function isFolder(source: ModelSourceDocument): boolean {
  if ("path" in source) return !ggufForm.test(source.path);
  return "url" in source && source.hub === true && !ggufForm.test(new URL(source.url).pathname);
}

/** Where the host finds the file: a path on itself, or addresses. */
export function sourceDocument(source: ModelSource): ModelSourceDocument {
  if (source.path !== undefined) return { path: source.path.replace(/(?<=.)\/+$/, "") };
  const { mirrors, bytesPerSecond } = source;
  const more = {
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
  if (source.url !== undefined) return { url: source.url, ...more };
  if (source.peer !== undefined) return { peers: source.peer, file: source.file ?? "", ...more };
  // Their addresses are known only when they share.
  if (source.peerStacks !== undefined) return { peers: [], file: source.file ?? "", ...more };
  const url = hubUrl(source.hf ?? "", source.endpoint);
  if (url === null) throw new Error(`not a hub reference: ${source.hf}`);
  return { url, hub: true, ...more };
}

/** File name with its ending, decoded when it comes from an address; of a folder, its own name or that of its repository. */
export function fileName(source: ModelSource): string {
  const document = sourceDocument(source);
  if ("path" in document) return document.path.slice(document.path.lastIndexOf("/") + 1);
  if ("peers" in document) return document.file;
  const { pathname } = new URL(document.url);
  if (isFolder(document)) return pathname.split("/").at(-3) ?? "";
  return decodeURIComponent(pathname.slice(pathname.lastIndexOf("/") + 1));
}

const partForm = /-(\d{5})-of-(\d{5})(\.gguf)$/i;
/** Far more than any model has: a slip of the finger is not to become ten thousand requests. */
const partLimit = 999;

/** What stands in for a part's number; null when the name is that of a whole model, or of no possible part. */
export function partOf(name: string): { readonly number: number; readonly count: number } | null {
  const match = partForm.exec(name);
  const [number, count] = [Number(match?.[1]), Number(match?.[2])];
  return match && number >= 1 && number <= count && count <= partLimit ? { number, count } : null;
}

/** All parts of a multi-part model, given a path or an address that ends in the name of one; else the one itself. */
export function partNames(name: string): string[] {
  const part = partOf(name);
  if (part === null) return [name];
  const digits = (number: number) => String(number).padStart(5, "0");
  return Array.from({ length: part.count }, (_, index) =>
    name.replace(partForm, `-${digits(index + 1)}-of-${digits(part.count)}$3`),
  );
}

/** Of all parts, given the address of the first. */
export const partAddresses = (url: string): string[] =>
  partNames(new URL(url).pathname).map((pathname) => Object.assign(new URL(url), { pathname }).href);

/**
 * The ancestor's rule for MODEL_REPO: the file's name without its ending, and without a part's number or a short `.Q…` quantization before it.
 * A folder keeps its whole name.
 */
export function defaultRepo(file: string): string {
  return file.replace(partForm, "$3").replace(/(\.Q[^.]{1,5})?\.gguf$/i, "");
}

const besideEnding = ":lmstack";

/**
 * LM Studio cannot rename an instance, so one that is loaded beside the instance that serves has to have this name, and keeps it.
 * Identifiers in a spec have no colon: no client's own name is like it.
 */
export const besideName = (model: string): string => model + besideEnding;

/** The model, as clients call it, that an instance of LM Studio belongs to. */
export const modelOfInstance = (instance: string): string =>
  instance.endsWith(besideEnding) ? instance.slice(0, -besideEnding.length) : instance;

/** What a client appends to a model's name to have it think or not. */
export const aliasEndings = { ":think": "on", ":no-think": "off" } as const;
