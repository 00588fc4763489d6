/** What LM Studio says about its models: which are loaded, with how many slots, and how their thinking is switched. Asked seldom and never twice at once. */
import { setTimeout } from "node:timers/promises";
import type { Dispatcher } from "undici";
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

/** Keyed by the identifier of each loaded instance. */
export type LoadedModels = ReadonlyMap<string, CatalogModel>;

const askMilliseconds = 5_000;
const freshMilliseconds = 30_000;
/** After an answer, or none, in which a model was not named: a client may ask for any name, many times a second. */
const unknownMilliseconds = 2_000;
const longestWait = 250;

export class Catalog {
  readonly #upstream: Dispatcher;
  readonly #now: () => number;
  #asking: Promise<LoadedModels> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #models: LoadedModels = new Map();
  readonly #listeners = new Set<() => void>();

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

  /** One model as last heard, without asking. */
  known(model: string): CatalogModel | undefined {
    return this.#models.get(model);
  }

  /** Called after each answer. */
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
      this.#models = readModels(await answer.body.json());
    } finally {
      this.#askedAt = this.#now();
    }
    for (const listener of this.#listeners) listener();
    return this.#models;
  }
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
