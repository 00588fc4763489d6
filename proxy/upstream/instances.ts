/**
 * Which of LM Studio's instances answers for a model. Usually the one of the model's name; after a change of the model it may be the one that was loaded
 * beside it (`besideName`). Clients never see that name.
 */
import type { IncomingMessage } from "node:http";
import { besideName, modelOfInstance } from "../../infra/spec/model-names.ts";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import type { AnswerFilter } from "../answer/filter.ts";
import { instanceNameFilter } from "../answer/instance-name.ts";
import { besideFault } from "../errors/request-faults.ts";
import { entryName, entryPath } from "../routes.ts";
import { parsed, recordOf } from "../unknown-json.ts";

type Serving = ProxyConfig["instances"];

/** By the admin socket alone: this very instance, whoever answers for the model and whether it is held. So a new instance is proved before it serves. */
export const instanceHeader = "x-lmstack-instance";

/** The instance that an administrator's request asks for. */
export function pinnedInstance(request: IncomingMessage): string | undefined {
  const value = request.headers[instanceHeader];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Counts the requests of each instance, so that one is unloaded only when its last has ended. */
export class Instances {
  readonly #serving: () => Serving;
  readonly #running = new Map<string, number>();

  constructor(serving: () => Serving) {
    this.#serving = serving;
  }

  get serving(): Serving {
    return this.#serving();
  }

  of(model: string): string {
    return this.#serving()[model] ?? model;
  }

  /** What is asked for one model's entry instead, and how its answer is put right. @throws Fault for a name that is no client's */
  entry(path: string): { readonly path: string; readonly rename: () => AnswerFilter | undefined } | undefined {
    const model = entryName(path);
    if (model === undefined) return undefined;
    const fault = besideFault(model);
    if (fault !== undefined) throw fault;
    const instance = this.of(model);
    if (instance === model) return undefined;
    return { path: entryPath(path, instance), rename: () => instanceNameFilter(instance) };
  }

  /** From the moment at which the instance was chosen. Returns how to end it; a second call does nothing. */
  begin(instance: string): () => void {
    this.#add(instance, 1);
    let ended = false;
    return () => {
      if (!ended) this.#add(instance, -1);
      ended = true;
    };
  }

  get running(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#running);
  }

  #add(instance: string, change: 1 | -1): void {
    const count = (this.#running.get(instance) ?? 0) + change;
    if (count > 0) this.#running.set(instance, count);
    else this.#running.delete(instance);
  }
}

/** LM Studio's list of models as clients know them; a body that names no instance of ours stays as it is. */
export function listedByModel(body: Buffer, serving: Serving): Buffer {
  if (!body.includes(besideName(""))) return body;
  const list = recordOf(parsed(body.toString()));
  const renamed = (entries: unknown) =>
    Array.isArray(entries) ? entries.flatMap((entry) => asModel(recordOf(entry), serving)) : entries;
  const models = Array.isArray(list.models)
    ? list.models.map((model) => {
        const entry = recordOf(model);
        return { ...entry, loaded_instances: renamed(entry.loaded_instances) };
      })
    : list.models;
  return Buffer.from(JSON.stringify({ ...list, data: renamed(list.data), models }));
}

function asModel(entry: Record<string, unknown>, serving: Serving): Record<string, unknown>[] {
  const { id } = entry;
  if (typeof id !== "string") return [entry];
  const model = modelOfInstance(id);
  return (serving[model] ?? model) === id ? [{ ...entry, id: model }] : [];
}
