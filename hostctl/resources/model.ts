import type { Change, ModelDocument } from "../../infra/spec/host-documents.ts";
import { isFolder, modelOfInstance } from "../../infra/spec/model-names.ts";
import { readAdopted } from "../adoption.ts";
import { asFailure, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { clearIncidents } from "../incidents.ts";
import { instances } from "../lmstudio/http.ts";
import { applyModelDefaults, pathsWithDefaults } from "../lmstudio/model-defaults.ts";
import { dropProof } from "../prove/kept-proofs.ts";
import { supervisorService } from "../service/service.ts";
import { askSupervisor, settled } from "../supervisor/ask.ts";
import {
  desiredModel,
  dropModel,
  readDesired,
  readLmstudio,
  readModel,
  type StoredModel,
  storeModel,
} from "../supervisor/desired.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { exactPath, finishImport, importModel, undoImport } from "./import.ts";
import { folderDigest } from "./model-folder.ts";
import { modelParts, pruneFetched, readFetched } from "./model-parts.ts";

const loadMs = 1_800_000;

export async function convergeModel(host: Host, document: ModelDocument): Promise<Change[]> {
  const lmstudio = await readLmstudio(host);
  if (lmstudio === null) {
    throw new HostFailure(
      "daemon_failed",
      `model ${document.id} cannot be loaded: LM Studio is not declared on this host yet`,
      "converge lmstudio comes first",
    );
  }
  const before = await readModel(host, document.id);
  const loadedBefore = await loaded(lmstudio.backendPort, document.id);
  const changes: Change[] = [];
  try {
    changes.push(...(await importModel(host, document, await modelParts(host, document))));
    const stored = await storedModel(host, document);
    const wanted = desiredModel(stored, lmstudio.engine ?? null);
    // Every load of the supervisor writes them too; here it is what a person changed since that is put right.
    changes.push(...(await applyModelDefaults(host, stored.exactPath, wanted.defaults ?? {})));
    await storeModel(host, stored);
    const service = supervisorService(host, document.become, lmstudio.mounts);
    if (!(await service.state()).active) await service.start();
    await askSupervisor(host, `model ${document.id}`, loadMs, (status) =>
      settled(status.models[document.id], wanted.digest, `model ${document.id}`),
    );
  } catch (error) {
    // A failed create is not in the operator's state, so nobody would ever remove it: take it back here. A failed update returns to before.
    if (before !== null) {
      await returnTo(host, before);
    } else {
      await dropModel(host, document.id);
      await undoImport(host, document.id);
    }
    await sweepDefaults(host);
    throw error;
  }
  await finishImport(host, document.id);
  await pruneFetched(host, document);
  await sweepDefaults(host);
  await clearIncidents(host, `model-${document.id}`);
  await storeToken(host, `model-${document.id}`, document.token);
  const loadedNow = await loaded(lmstudio.backendPort, document.id);
  if (loadedBefore !== loadedNow) changes.push({ what: `model ${document.id}`, from: loadedBefore, to: loadedNow });
  return changes;
}

/** Files are asked for again after the import, which may have moved them. What a hub told is part of what is wanted: other bytes, another load. */
async function storedModel(host: Host, document: ModelDocument): Promise<StoredModel> {
  const [first] = await modelParts(host, document);
  return { document: await asFetched(host, document), exactPath: exactPath(document), file: first?.path ?? "" };
}

async function asFetched(host: Host, document: ModelDocument): Promise<ModelDocument> {
  const files = await readFetched(host, document);
  if (files === null) return document;
  if (isFolder(document.source)) return { ...document, files, sha256: folderDigest(files) };
  return { sha256: files.map(({ sha256 }) => sha256), ...document };
}

async function returnTo(host: Host, before: StoredModel): Promise<void> {
  const { document } = before;
  const imported = await importModel(host, document, await modelParts(host, document)).catch((error: unknown) => {
    host.say(`note: ${document.id} could not be imported as it was: ${asFailure(error).message}`);
    return null;
  });
  await storeModel(host, before);
  // The import that failed goes only now that nobody is to load it.
  if (imported !== null) await finishImport(host, document.id);
}

/** Takes back the defaults of files that no declared model has any more. */
async function sweepDefaults(host: Host): Promise<void> {
  const { models } = await readDesired(host);
  for (const path of await pathsWithDefaults(host))
    if (!models.some(({ exactPath }) => exactPath === path)) await applyModelDefaults(host, path, {});
}

async function loaded(port: number, id: string): Promise<string | null> {
  const found = (await instances(port))?.find((instance) => modelOfInstance(instance.identifier) === id);
  return found === undefined
    ? null
    : `loaded with context ${found.contextLength ?? "unknown"}, parallel ${found.parallel ?? "unknown"}`;
}

export async function removeModel(host: Host, id: string): Promise<void> {
  const lmstudio = await readLmstudio(host);
  await dropModel(host, id);
  const kept = (await readAdopted(host))?.instances.some((instance) => instance.identifier === id) === true;
  if (lmstudio !== null && !kept && (await supervisorService(host, lmstudio.become).state()).active) {
    await askSupervisor(
      host,
      `the unloading of ${id}`,
      60_000,
      (status) => status.models[id] === undefined && status.surplus.every((one) => one !== id),
    );
  }
  await sweepDefaults(host);
  await undoImport(host, id);
  await clearIncidents(host, `model-${id}`);
  await dropProof(host, id);
  await dropToken(host, `model-${id}`);
}
