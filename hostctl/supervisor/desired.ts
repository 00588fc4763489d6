/** The desired state on disk: written by `converge`, read by the supervisor. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LmstudioDocument, ModelDocument } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { digestOf } from "../digest.ts";
import type { Host } from "../host.ts";
import type { Engine } from "../lmstudio/lms.ts";
import { modelDefaults } from "../lmstudio/model-defaults.ts";
import type { Desired, DesiredModel } from "./decide.ts";

/** A model document with what its import found out. */
export interface StoredModel {
  readonly document: ModelDocument;
  /** PUBLISHER/REPO/FILE, as `lms ls` shows it. */
  readonly exactPath: string;
  /** The file that was verified. */
  readonly file: string;
}

export async function storeLmstudio(host: Host, document: LmstudioDocument): Promise<void> {
  await writeJson(join(host.paths.desired, "lmstudio.json"), document);
}

export async function storeModel(host: Host, model: StoredModel): Promise<void> {
  await writeJson(modelPath(host, model.document.id), model);
}

export async function dropModel(host: Host, id: string): Promise<void> {
  await rm(modelPath(host, id), { force: true });
}

/** So that a model which takes another's place finds its card empty: the operator's own removals come only after all that is made. */
export async function dropUnlisted(host: Host, ids: readonly string[]): Promise<void> {
  for (const { document } of await storedModels(host))
    if (!ids.includes(document.id)) await dropModel(host, document.id);
}

export async function dropLmstudio(host: Host): Promise<void> {
  await rm(join(host.paths.desired, "lmstudio.json"), { force: true });
}

export async function readLmstudio(host: Host): Promise<LmstudioDocument | null> {
  return await readJson<LmstudioDocument>(join(host.paths.desired, "lmstudio.json"));
}

export async function readModel(host: Host, id: string): Promise<StoredModel | null> {
  return await readJson<StoredModel>(modelPath(host, id));
}

export async function readDesired(host: Host): Promise<Desired> {
  const lmstudio = await readLmstudio(host);
  const engine = lmstudio?.engine ?? null;
  return {
    lmstudio:
      lmstudio === null ? null : { backendPort: lmstudio.backendPort, engine, digest: lmstudioDigest(lmstudio) },
    models: (await storedModels(host))
      .sort((a, b) => a.document.order - b.document.order || (a.document.id < b.document.id ? -1 : 1))
      .map((model) => desiredModel(model, engine)),
  };
}

async function storedModels(host: Host): Promise<StoredModel[]> {
  const names = (await readdir(host.paths.desired).catch(() => [])).filter((name) => /^model-.*\.json$/.test(name));
  const stored = await Promise.all(names.map((name) => readJson<StoredModel>(join(host.paths.desired, name))));
  return stored.filter((model) => model !== null);
}

export function lmstudioDigest(document: LmstudioDocument): string {
  return digestOf({ version: document.version, port: document.backendPort, engine: document.engine });
}

export function desiredModel(stored: StoredModel, engine: Engine | null): DesiredModel {
  const { document, exactPath } = stored;
  const { contextLength, parallel, gpu } = document.load;
  const wanted = modelDefaults(document.load);
  const defaults = Object.keys(wanted).length === 0 ? {} : { defaults: wanted };
  const request = { exactPath, identifier: document.id, contextLength, parallel, gpu, ...defaults };
  // Order and token are not part of it: an instance stays right when only they change.
  return {
    ...request,
    file: stored.file,
    digest: digestOf({ ...request, engine, sha256: document.sha256, file: stored.file }),
  };
}

function modelPath(host: Host, id: string): string {
  return join(host.paths.desired, `model-${encodeURIComponent(id)}.json`);
}
