/** Names derived from a model's source: the file's name, the repository folder that LM Studio keeps it in, and where a hub file lies. */

export interface ModelSource {
  readonly path?: string | undefined;
  readonly url?: string | undefined;
  readonly hf?: string | undefined;
}

const hubForm = /^([\w.-]+)\/([\w.-]+)\/(.+\.gguf)@([\w./-]+)$/i;

/** `owner/repo/file@revision` as a download address; null when the form is wrong. */
export function hubUrl(reference: string): string | null {
  const match = hubForm.exec(reference);
  if (!match) return null;
  const [, owner, repo, file, revision] = match as unknown as [string, string, string, string, string];
  const encoded = file.split("/").map(encodeURIComponent).join("/");
  return `https://huggingface.co/${owner}/${repo}/resolve/${encodeURIComponent(revision)}/${encoded}`;
}

/** Where the host finds the file: a path on itself, or an address. */
export function sourceDocument(source: ModelSource): { path: string } | { url: string } {
  if (source.path !== undefined) return { path: source.path };
  if (source.url !== undefined) return { url: source.url };
  const url = hubUrl(source.hf ?? "");
  if (url === null) throw new Error(`not a hub reference: ${source.hf}`);
  return { url };
}

/** File name with its ending, decoded when it comes from an address. */
export function fileName(source: ModelSource): string {
  const document = sourceDocument(source);
  if ("path" in document) return document.path.slice(document.path.lastIndexOf("/") + 1);
  const { pathname } = new URL(document.url);
  return decodeURIComponent(pathname.slice(pathname.lastIndexOf("/") + 1));
}

/** The ancestor's rule for MODEL_REPO: the file's name without its ending, and without a short `.Q…` quantization before it. */
export function defaultRepo(file: string): string {
  return file.replace(/(\.Q[^.]{1,5})?\.[^.]+$/, "");
}

const besideEnding = ":lmstack";

/**
 * LM Studio cannot rename an instance, so a model that is changed is loaded beside itself under this name, and stays there until its next change.
 * Identifiers in a spec have no colon: no client's own name is like it.
 */
export const besideName = (model: string): string => model + besideEnding;

/** The model, as clients call it, that an instance of LM Studio belongs to. */
export const modelOfInstance = (instance: string): string =>
  instance.endsWith(besideEnding) ? instance.slice(0, -besideEnding.length) : instance;

/** What a client appends to a model's name to have it think or not. */
export const aliasEndings = { ":think": "on", ":no-think": "off" } as const;
