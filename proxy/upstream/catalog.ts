/** What LM Studio says about its models: which are loaded, and how their thinking is switched. Asked seldom and never twice at once. */
import { setTimeout } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { Fault } from "../errors/fault.ts";
import type { ReasoningOptions } from "../thinking/policy.ts";

interface CatalogModel {
  readonly reasoning: ReasoningOptions;
}

/** Keyed by the identifier of each loaded instance. */
export type LoadedModels = ReadonlyMap<string, CatalogModel>;

const askMilliseconds = 5_000;
const freshMilliseconds = 30_000;
const longestWait = 250;

export class Catalog {
  readonly #upstream: Dispatcher;
  readonly #now: () => number;
  #asking: Promise<LoadedModels> | undefined;
  #last: { readonly at: number; readonly models: LoadedModels } | undefined;

  constructor(upstream: Dispatcher, now: () => number = performance.now.bind(performance)) {
    this.#upstream = upstream;
    this.#now = now;
  }

  /** Asks now. Rejects when LM Studio does not answer within five seconds or not in the expected form. */
  loaded(): Promise<LoadedModels> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * Options of one model as last heard; undefined when it has none or nothing is known. Waits only for a model that was not heard of
   * yet, and not long: a request goes on without an answer rather than late.
   */
  async reasoning(model: string | undefined): Promise<ReasoningOptions> {
    if (model === undefined) return undefined;
    const last = this.#last;
    const known = last?.models.get(model);
    if (known === undefined || last === undefined || this.#now() - last.at > freshMilliseconds) {
      // A failure is the request's own to find out, and to tell its client.
      const asked = this.loaded().catch(() => undefined);
      if (known === undefined) await Promise.race([asked, setTimeout(longestWait, undefined, { ref: false })]);
    }
    return (this.#last?.models.get(model) ?? known)?.reasoning;
  }

  async #ask(): Promise<LoadedModels> {
    const signal = AbortSignal.timeout(askMilliseconds);
    const answer = await this.#upstream.request({ method: "GET", path: "/api/v1/models", signal });
    const models = readModels(await answer.body.json());
    this.#last = { at: this.#now(), models };
    return models;
  }
}

interface ListedModel {
  readonly loaded_instances?: readonly { readonly id?: unknown }[];
  readonly capabilities?: { readonly reasoning?: { readonly allowed_options?: unknown } };
}

/** Throws when `answer` is not the list that `/api/v1/models` gives. */
function readModels(answer: unknown): LoadedModels {
  const listed = (answer as { models?: unknown } | null)?.models;
  if (!Array.isArray(listed)) {
    throw new Fault(
      502,
      "upstream_error",
      "LM Studio's /api/v1/models did not answer with a list of models; it may be too old (0.4.0 or newer is needed).",
    );
  }
  const loaded = new Map<string, CatalogModel>();
  for (const model of listed as ListedModel[]) {
    const options = model.capabilities?.reasoning?.allowed_options;
    const reasoning = Array.isArray(options) ? options.map(String) : undefined;
    for (const instance of model.loaded_instances ?? []) {
      if (typeof instance.id === "string") loaded.set(instance.id, { reasoning });
    }
  }
  return loaded;
}
