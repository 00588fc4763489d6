/** What the status page tells, as one document: made from what the parts of the proxy know, without asking anybody. */
import type { GpuFacts } from "../../infra/spec/gpu-facts.ts";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import type { ModelQueue } from "../admission/admission.ts";
import { noModel, otherModel } from "../seeing/model-label.ts";
import type { ModelSeries, RecentError, SeriesSnapshot } from "../seeing/series.ts";
import { type Thinking, thinkingFor } from "../thinking/policy.ts";
import type { LoadedModels } from "../upstream/catalog.ts";
import type { Readiness } from "../upstream/readiness.ts";
import { tame } from "./words.ts";

export interface ModelStatus {
  readonly model: string;
  /** Unknown while LM Studio does not answer. */
  readonly state: "loaded" | "not loaded" | "unknown";
  /** The configuration names it. */
  readonly declared: boolean;
  readonly thinking: Thinking;
  /** Tokens; null when LM Studio does not tell. */
  readonly contextLength: number | null;
  /** Null when there is no limit. */
  readonly slots: number | null;
  readonly running: number;
  /** Slots that requests of another process use. */
  readonly claimed: number;
  readonly queued: number;
  /** Milliseconds since the epoch; null when it is not held. */
  readonly heldUntil: number | null;
  /** Oldest first, one for each bucket; empty without a token in the last fifteen minutes. */
  readonly tokensPerSecond: readonly number[];
  readonly firstTokenMs: readonly (number | null)[];
}

export interface StatusSnapshot {
  /** Milliseconds since the epoch, as are all times here. */
  readonly at: number;
  readonly ending: boolean;
  /** Null until LM Studio was asked for the first time. */
  readonly ready: boolean | null;
  /** One sentence or two: what is missing and what to do. */
  readonly reason: string;
  /** Why a newer configuration was not taken; null when there is none. */
  readonly problem: string | null;
  readonly models: readonly ModelStatus[];
  /** Models that were left out, because there are too many to show. */
  readonly moreModels: number;
  readonly gpus: readonly GpuFacts[];
  /** Latest first. */
  readonly errors: readonly RecentError[];
  /** Clients must present a key. */
  readonly keyed: boolean;
  readonly upstream: string;
  readonly version: string;
  readonly startedAt: number;
  readonly openStreams: number;
  readonly connections: number;
}

export interface SnapshotParts {
  readonly now: number;
  readonly config: Pick<ProxyConfig, "models" | "upstream" | "keys" | "keysFile">;
  readonly problem: string | undefined;
  readonly ending: boolean;
  /** Undefined until LM Studio was asked. */
  readonly readiness: Readiness | undefined;
  /** Undefined while LM Studio does not answer. */
  readonly loaded: LoadedModels | undefined;
  readonly queues: readonly ModelQueue[];
  /** Of a model that nobody has asked for yet; undefined when there is no limit. */
  readonly slotsOf: (model: string) => number | undefined;
  readonly series: SeriesSnapshot;
  readonly gpus: readonly GpuFacts[];
  readonly version: string;
  readonly startedAt: number;
  readonly openStreams: number;
  readonly connections: number;
}

/** Clients name what they like while a model has no limit; more than these nobody reads. */
const mostModels = 50;
const longestName = 120;

export function statusSnapshot(parts: SnapshotParts): StatusSnapshot {
  const { config, readiness, now } = parts;
  const names = modelNames(parts);
  return {
    at: now,
    ending: parts.ending,
    ready: readiness?.ready ?? null,
    reason: tame(readiness?.reason ?? "LM Studio has not answered yet."),
    problem: parts.problem === undefined ? null : tame(parts.problem),
    models: names.slice(0, mostModels).map((name) => modelStatus(name, parts)),
    moreModels: Math.max(0, names.length - mostModels),
    gpus: parts.gpus.map((gpu) => ({ ...gpu, name: tame(gpu.name, longestName) })),
    errors: parts.series.recentErrors.map(tamed),
    keyed: config.keys.length > 0 || config.keysFile !== undefined,
    upstream: config.upstream,
    version: parts.version,
    startedAt: parts.startedAt,
    openStreams: parts.openStreams,
    connections: parts.connections,
  };
}

/** Declared ones first, as the configuration has them; then what is loaded, what is asked for, and what was. */
function modelNames({ config, loaded, queues, series }: SnapshotParts): string[] {
  const busy = queues.filter((queue) => queue.running + queue.claimed + queue.queued > 0 || queue.heldUntil !== null);
  const names = new Set(Object.keys(config.models));
  for (const name of loaded?.keys() ?? []) names.add(name);
  for (const { model } of busy) names.add(model);
  for (const { model } of series.models) if (model !== noModel && model !== otherModel) names.add(model);
  names.delete("*");
  return [...names];
}

function modelStatus(name: string, parts: SnapshotParts): ModelStatus {
  const { config, loaded } = parts;
  const queue = parts.queues.find(({ model }) => model === name);
  const series: ModelSeries | undefined = parts.series.models.find(({ model }) => model === name);
  return {
    model: tame(name, longestName),
    state: loaded === undefined ? "unknown" : loaded.has(name) ? "loaded" : "not loaded",
    declared: Object.hasOwn(config.models, name),
    thinking: thinkingFor(config.models, name),
    contextLength: loaded?.get(name)?.contextLength ?? null,
    slots: queue === undefined ? (parts.slotsOf(name) ?? null) : queue.slots,
    running: queue?.running ?? 0,
    claimed: queue?.claimed ?? 0,
    queued: queue?.queued ?? 0,
    heldUntil: queue?.heldUntil ?? null,
    tokensPerSecond: series?.tokensPerSecond ?? [],
    firstTokenMs: series?.firstTokenMs ?? [],
  };
}

function tamed(error: RecentError): RecentError {
  const model = error.model === null ? null : tame(error.model, longestName);
  return { ...error, model, message: tame(error.message) };
}
