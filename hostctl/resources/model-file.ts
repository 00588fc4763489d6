import { open, rm, stat } from "node:fs/promises";
import type { Change, FolderFile, ModelDocument, ModelFileDocument } from "../../infra/spec/host-documents.ts";
import { below, isFolder } from "../../infra/spec/model-names.ts";
import { recordedSha256, sha256Of } from "../checksum.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { size } from "../lmstudio/prerequisites.ts";
import { withLock } from "../lock.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { awaitDownload, cancelDownload } from "../transfer/download-job.ts";
import { askHub } from "../transfer/hub.ts";
import { adoptIntoStore, dropUnnamed, isStored, nameStored, storeContent } from "../transfer/store.ts";
import { movedFiles } from "./import.ts";
import { askFolder, checkFolder, folderDigest } from "./model-folder.ts";
import {
  downloadsOf,
  dropFetched,
  fetchedBefore,
  formerFile,
  type ModelPart,
  modelParts,
  places,
  wantedByNoOther,
  writeFetched,
} from "./model-parts.ts";
import { unreadable } from "./unreadable.ts";

/** Fetched (if from an address), looked at, verified. Changes nothing else on the host, so a wrong spec ends here. */
export async function convergeModelFile(host: Host, document: ModelFileDocument): Promise<Change[]> {
  return await withLock(host, `model-file-${document.id}`, `converge model-file ${document.id}`, async () => {
    const changes = !("path" in document.source) ? await fetchParts(host, document, document.source) : [];
    const parts = await modelParts(host, document);
    if (isFolder(document.source)) await checkFolder(host, document, parts);
    else for (const part of parts) await checkFile(host, document, part);
    await storeToken(host, `model-file-${document.id}`, document.token);
    return changes;
  });
}

type Download = Exclude<ModelFileDocument["source"], { readonly path: string }>;
/** `content`: of a file that had to be read to know its digest. */
type Wanted = ModelPart & { readonly sha256: string; readonly size: number | null; readonly content?: Buffer };

async function fetchParts(host: Host, document: ModelFileDocument, source: Download): Promise<Change[]> {
  const { id, credential } = document;
  const parts = await resolveParts(host, document);
  const digests = parts.map(({ sha256 }) => sha256);
  const old = (await fetchedBefore(host, id)).filter((sha256) => !digests.includes(sha256));
  for (const sha256 of await wantedByNoOther(host, id, old)) await cancelDownload(host, sha256);
  const files = parts.map(({ name = "", sha256 }) => ({ name, sha256 }));
  await writeFetched(host, document, files);
  const names = places(
    host,
    document,
    digests,
    files.map(({ name }) => name),
  ).map(({ path }) => path);
  const now = await modelParts(host, document);
  const changes: Change[] = [];
  for (const [index, { sha256, urls, size, content }] of parts.entries()) {
    const path = now[index]?.path ?? "";
    const what = parts.length === 1 ? `model ${id}` : `model ${id}, part ${index + 1} of ${parts.length}`;
    if (await isRight(host, path, sha256, what)) {
      await adoptIntoStore(host, path, sha256);
      continue;
    }
    const former = formerFile(host, id);
    if (parts.length === 1 && (await isRight(host, former, sha256, what))) await adoptIntoStore(host, former, sha256);
    const stored = await isStored(host, sha256);
    if (!stored && content !== undefined) await storeContent(host, content, sha256);
    else if (!stored) {
      const { bytesPerSecond } = source;
      const order = {
        sha256,
        what,
        urls,
        ...("peers" in source ? { peers: source.peers } : {}),
        ...(size === null ? {} : { size }),
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      };
      await awaitDownload(host, order, credential);
    }
    // After a move the old file lies elsewhere; a new one begins where downloads do.
    const name = names[index] ?? "";
    await nameStored(host, sha256, name);
    changes.push({ what: `model file ${id}`, from: null, to: name });
  }
  return changes;
}

async function resolveParts(host: Host, document: ModelFileDocument): Promise<Wanted[]> {
  const { source } = document;
  const wanted: Wanted[] = [];
  const parts = await modelParts(host, document);
  if (parts.length === 0 && "url" in source) {
    const files = await askFolder(host, source.url, document);
    for (const file of files) wanted.push({ ...file, path: "", urls: [below(source.url, file.name)] });
  }
  for (const part of parts) wanted.push(await resolvePart(host, document, part));
  return wanted;
}

/** A hub is asked only for what is not here: what it says must agree with the spec, before gigabytes are fetched. */
async function resolvePart(
  host: Host,
  { id, source, credential }: ModelFileDocument,
  part: ModelPart,
): Promise<Wanted> {
  const what = `model ${id}`;
  const { sha256, urls, path } = part;
  // A folder's list was told as a whole.
  const hub = "url" in source && source.hub === true && !isFolder(source);
  if (sha256 !== null && (!hub || (await isRight(host, path, sha256, what)))) return { ...part, sha256, size: null };
  const [url = ""] = urls;
  const told = await askHub(url, what, credential);
  const digest = sha256 ?? told.sha256;
  const file = url.slice(url.lastIndexOf("/") + 1);
  if (digest === null)
    throw new HostFailure(
      "checksum_mismatch",
      `${what}: the hub tells no sha256 of ${file} (no x-linked-etag header), and the spec gives none`,
      "give sha256 in the spec",
    );
  if (told.sha256 !== null && told.sha256 !== digest)
    throw new HostFailure(
      "checksum_mismatch",
      `${what}: the hub says sha256 ${told.sha256} of ${file}, but ${digest} is expected`,
      "correct sha256 or the revision in source.hf; nothing was fetched",
    );
  return { ...part, sha256: digest, size: told.size };
}

async function isRight(host: Host, path: string, sha256: string, what: string): Promise<boolean> {
  const there = await stat(path).catch(() => null);
  return there !== null && (await sha256Of(host, path, what)) === sha256;
}

async function checkFile(host: Host, { id }: ModelFileDocument, { path, sha256 }: ModelPart): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(host, id, path, "file", error);
  });
  if (!found.isFile())
    throw new HostFailure("file_missing", `model ${id}: ${path} is not a file`, "source.path must name one GGUF file");
  const magic = await firstBytes(path);
  if (magic !== "GGUF") {
    throw new HostFailure(
      "file_missing",
      `model ${id}: ${path} (${size(found.size)}) is not a GGUF file: it begins with ${JSON.stringify(magic)}`,
      "correct source in the spec",
    );
  }
  if (sha256 === null) return;
  const digest = await sha256Of(host, path, id);
  if (digest === sha256) return;
  throw new HostFailure(
    "checksum_mismatch",
    `model ${id}: ${path} has sha256 ${digest}, but the spec says ${sha256}`,
    "correct sha256 in the spec or bring the right file",
  );
}

async function firstBytes(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead).toString("latin1");
  } finally {
    await handle.close();
  }
}

/** For `observe`: right as far as records tell, without reading the files again. */
export async function isVerified(host: Host, document: ModelDocument): Promise<boolean> {
  const parts = await modelParts(host, document);
  const pinned = isFolder(document.source) ? document.sha256 : undefined;
  const found: FolderFile[] = [];
  for (const { name = "", path, sha256 } of parts) {
    if (sha256 === null && pinned === undefined) {
      const there = await stat(path).catch(() => null);
      if (there?.isFile() !== true) return false;
      continue;
    }
    const recorded = await recordedSha256(host, path);
    if (recorded === null || (sha256 !== null && recorded !== sha256)) return false;
    found.push({ name, sha256: recorded });
  }
  return parts.length > 0 && (pinned === undefined || folderDigest(found) === pinned);
}

/** Files that lmstack downloaded go, unless another model has them too; a person's never do. */
export async function removeModelFile(host: Host, id: string): Promise<void> {
  await withLock(host, `model-file-${id}`, `remove model-file ${id}`, async () => {
    const digests = await wantedByNoOther(host, id, await fetchedBefore(host, id));
    for (const sha256 of digests) await cancelDownload(host, sha256);
    // Moved into LM Studio's folder and not brought back: still ours to delete.
    for (const { source, target } of await movedFiles(host, id))
      if (source === formerFile(host, id) || source.startsWith(`${downloadsOf(host, id)}/`))
        await rm(target, { force: true });
    await rm(formerFile(host, id), { force: true });
    await rm(downloadsOf(host, id), { recursive: true, force: true });
    await dropUnnamed(host, digests);
    await dropFetched(host, id);
    await dropToken(host, `model-file-${id}`);
  });
}
