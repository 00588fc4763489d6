import { open, rm, stat } from "node:fs/promises";
import type { Change, ModelDocument, ModelFileDocument } from "../../infra/spec/host-documents.ts";
import { recordedSha256, sha256Of } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { size } from "../lmstudio/prerequisites.ts";
import { withLock } from "../lock.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { awaitDownload, cancelDownload, downloadedFile } from "../transfer/download-job.ts";
import { readImport } from "./import.ts";

/** Where the file of a model lies before it is imported; after a move, where it went. */
export async function modelFile(host: Host, document: Pick<ModelFileDocument, "id" | "source">): Promise<string> {
  const source = "url" in document.source ? downloadedFile(host, document.id) : document.source.path;
  const moved = await readImport(host, document.id);
  const gone = await stat(source).then(
    () => false,
    () => true,
  );
  return gone && moved?.mode === "move" && moved.made && moved.source === source ? moved.target : source;
}

/** Fetched (if a URL), looked at, verified. Changes nothing else on the host, so a wrong spec ends here. */
export async function convergeModelFile(host: Host, document: ModelFileDocument): Promise<Change[]> {
  return await withLock(host, `model-file-${document.id}`, `converge model-file ${document.id}`, async () => {
    const changes: Change[] = [];
    let file = await modelFile(host, document);
    if ("url" in document.source) {
      const there = await stat(file).catch(() => null);
      const right = there !== null && (await sha256Of(host, file, document.id)) === document.sha256?.toLowerCase();
      if (!right) {
        await awaitDownload(host, {
          id: document.id,
          url: document.source.url,
          sha256: document.sha256?.toLowerCase() ?? "",
        });
        file = downloadedFile(host, document.id);
        changes.push({ what: `model file ${document.id}`, from: null, to: file });
      }
    }
    await checkFile(host, document, file);
    await storeToken(host, `model-file-${document.id}`, document.token);
    return changes;
  });
}

async function checkFile(host: Host, document: ModelFileDocument, file: string): Promise<void> {
  const { id, sha256 } = document;
  const found = await stat(file).catch((error: unknown) => {
    if (errno(error) === "EACCES")
      throw new HostFailure(
        "privilege_missing",
        `${host.user} may not read ${file} (model ${id})`,
        "give that user access to the folder",
      );
    throw new HostFailure(
      "file_missing",
      `model ${id}: there is no file ${file} on this host`,
      "correct source.path in the spec, or bring the file there",
    );
  });
  if (!found.isFile())
    throw new HostFailure("file_missing", `model ${id}: ${file} is not a file`, "source.path must name one GGUF file");
  const magic = await firstBytes(file);
  if (magic !== "GGUF") {
    throw new HostFailure(
      "file_missing",
      `model ${id}: ${file} (${size(found.size)}) is not a GGUF file: it begins with ${JSON.stringify(magic)}`,
      "correct source in the spec",
    );
  }
  if (sha256 === undefined) return;
  const digest = await sha256Of(host, file, id);
  if (digest === sha256.toLowerCase()) return;
  throw new HostFailure(
    "checksum_mismatch",
    `model ${id}: ${file} has sha256 ${digest}, but the spec says ${sha256}`,
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

/** For `observe`: right as far as records tell, without reading the file again. */
export async function isVerified(host: Host, document: ModelDocument): Promise<boolean> {
  const file = await modelFile(host, document);
  if (document.sha256 === undefined)
    return await stat(file).then(
      (found) => found.isFile(),
      () => false,
    );
  return (await recordedSha256(host, file)) === document.sha256.toLowerCase();
}

/** A file that lmstack downloaded goes; a person's never does. */
export async function removeModelFile(host: Host, id: string): Promise<void> {
  await withLock(host, `model-file-${id}`, `remove model-file ${id}`, async () => {
    await cancelDownload(host, id);
    const file = downloadedFile(host, id);
    // Moved into LM Studio's folder and not brought back: still ours to delete.
    const moved = await readImport(host, id);
    if (moved?.source === file) await rm(moved.target, { force: true });
    await rm(file, { force: true });
    await dropToken(host, `model-file-${id}`);
  });
}
