/** What LM Studio says about its models: which are loaded, with how many slots, and how their thinking is switched. Asked seldom and never twice at once. */
import { setTimeout } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { modelOfInstance } from "../../infra/spec/model-names.ts";
import { Fault } from "../errors/fault.ts";
import type { ReasoningOptions } from "../thinking/policy.ts";

export interface CatalogModel {
  readonly reasoning: ReasoningOptions;
  /** Requests that the instance works on at once; undefined when LM Studio does not tell. */
  readonly parallel: number | undefined;
  readonly contextLength: number | undefined;
  /** Whether it takes images; undefined when LM Studio does not tell. */
  readonly vision?: boolean | undefined;
  /** The option of `reasoning` that it takes when a request says nothing. */
  readonly reasoningDefault?: string | undefined;
  /** Answers with vectors only. */
  readonly embedding?: boolean;
}

/** Keyed by the model, as clients call it, that the loaded instance answers for. */
export type LoadedModels = ReadonlyMap<string, CatalogModel>;

type Serving = Readonly<Record<string, string>>;

const noneServing: Serving = {};
const askMilliseconds = 5_000;
const freshMilliseconds = 30_000;
/** After an answer, or none, in which a model was not named: a client may ask for any name, many times a second. */
const unknownMilliseconds = 2_000;
const longestWait = 250;
/** Whether a declared model is loaded changes behind our back: that old may an answer be for a request to go on at once, asking beside it … */
const currentMilliseconds = 1_000;
/** … and that old may it be for a request to go on at all. */
const outdatedMilliseconds = 5_000;

export class Catalog {
  readonly #upstream: Dispatcher;
  readonly #now: () => number;
  #asking: Promise<LoadedModels> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** As told, by the names of instances … */
  #instances: ReadonlyMap<string, CatalogModel> = new Map();
  readonly #serving: () => Serving;
  /** … and what that was when `#byModel` was made of it. */
  #seen: Serving = noneServing;
  #byModel: LoadedModels | undefined;
  /** What LM Studio told last holds. */
  #told = false;
  /** LM Studio was gone, and may be back at any moment. */
  #doubted = false;
  #updating: Promise<unknown> | undefined;
  readonly #listeners = new Set<() => void>();

  /** `serving`: the instances that answer for models of another name. */
  constructor(
    upstream: Dispatcher,
    now: () => number = performance.now.bind(performance),
    serving: () => Serving = () => noneServing,
  ) {
    this.#upstream = upstream;
    this.#now = now;
    this.#serving = serving;
  }

  get #models(): LoadedModels {
    const serving = this.#serving();
    if (serving !== this.#seen && JSON.stringify(serving) !== JSON.stringify(this.#seen)) {
      // What was told before may not have the instance that answers now.
      this.#told = false;
      this.#doubted = true;
      this.#byModel = undefined;
    }
    this.#seen = serving;
    this.#byModel ??= byModel(this.#instances, serving);
    return this.#byModel;
  }

  /** Asks now. Rejects when LM Studio does not answer within five seconds or not in the expected form. */
  loaded(): Promise<LoadedModels> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** One model as last heard, without asking. */
  known(model: string): CatalogModel | undefined {
    return this.#models.get(model);
  }

  /** LM Studio has told what it has loaded, and this model was not there. */
  lacks(model: string): boolean {
    // In this order: the look finds out whether what was told still counts.
    return !this.#models.has(model) && this.#told;
  }

  /** Milliseconds since LM Studio was last asked. */
  get age(): number {
    return this.#now() - this.#askedAt;
  }

  /**
   * Sees to it that `lacks` speaks of the present. A promise only where the last answer is too old for that, or where the model was not there and may be
   * now; it does not take long.
   */
  update(model: string): Promise<unknown> | undefined {
    const { age } = this;
    if (!this.#doubted && age < currentMilliseconds) return undefined;
    this.#updating ??= Promise.race([
      this.loaded().catch(() => {}),
      setTimeout(longestWait, undefined, { ref: false }),
    ]).finally(() => {
      this.#updating = undefined;
    });
    return !this.#doubted && age < outdatedMilliseconds && this.#models.has(model) ? undefined : this.#updating;
  }

  /** LM Studio has failed: whoever comes next asks first. */
  doubt(): void {
    this.#doubted = true;
  }

  /** Called after each answer, and when LM Studio turns out to be gone. */
  onAnswer(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * One model, asked for again when that was long ago. A promise only for a model that was not heard of yet, and not for long: a request goes
   * on without an answer rather than late.
   */
  find(model: string | undefined): CatalogModel | undefined | Promise<CatalogModel | undefined> {
    if (model === undefined) return undefined;
    const known = this.#models.get(model);
    const age = this.#now() - this.#askedAt;
    if (age < (known === undefined ? unknownMilliseconds : freshMilliseconds) && this.#asking === undefined)
      return known;
    // A failure is the request's own to find out, and to tell its client.
    const asked = this.loaded().catch(() => undefined);
    if (known !== undefined) return known;
    return Promise.race([asked, setTimeout(longestWait, undefined, { ref: false })]).then(() => this.known(model));
  }

  async #ask(): Promise<LoadedModels> {
    const signal = AbortSignal.timeout(askMilliseconds);
    try {
      const answer = await this.#upstream.request({ method: "GET", path: "/api/v1/models", signal });
      this.#instances = readModels(await answer.body.json());
      this.#byModel = undefined;
      this.#seen = this.#serving();
      this.#told = true;
      this.#doubted = false;
    } catch (error) {
      // One that takes long to answer is busy, with a load for example: what it said last still holds.
      if (!signal.aborted) {
        this.#told = false;
        this.#doubted = (error as { code?: unknown }).code === "ECONNREFUSED";
      }
      throw error;
    } finally {
      this.#askedAt = this.#now();
      for (const listener of this.#listeners) listener();
    }
    return this.#models;
  }
}

/** Without instances that answer for no model: those that are being proved, and those whose last requests end. */
export function byModel<Told>(instances: ReadonlyMap<string, Told>, serving: Serving): Map<string, Told> {
  const models = new Map<string, Told>();
  for (const [instance, told] of instances) {
    const model = modelOfInstance(instance);
    if ((serving[model] ?? model) === instance) models.set(model, told);
  }
  return models;
}

interface ListedModel {
  readonly type?: unknown;
  readonly loaded_instances?: readonly {
    readonly id?: unknown;
    readonly config?: { readonly parallel?: unknown; readonly context_length?: unknown };
  }[];
  readonly capabilities?: {
    readonly vision?: unknown;
    readonly reasoning?: { readonly allowed_options?: unknown; readonly default?: unknown };
  };
}

/** Throws when `answer` is not the list that `/api/v1/models` gives. */
function readModels(answer: unknown): ReadonlyMap<string, CatalogModel> {
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
    const { vision, reasoning: switches } = model.capabilities ?? {};
    const options = switches?.allowed_options;
    const told = {
      reasoning: Array.isArray(options) ? options.map(String) : undefined,
      reasoningDefault: typeof switches?.default === "string" ? switches.default : undefined,
      vision: typeof vision === "boolean" ? vision : undefined,
      embedding: model.type === "embedding",
    };
    for (const { id, config } of model.loaded_instances ?? []) {
      if (typeof id !== "string") continue;
      const parallel = positive(config?.parallel);
      loaded.set(id, { ...told, parallel, contextLength: positive(config?.context_length) });
    }
  }
  return loaded;
}

function positive(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
}
