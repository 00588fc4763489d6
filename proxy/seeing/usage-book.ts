/** Who used which model, and how much: since this process began, in memory. What must outlive it is in the metrics. */
import type { ModelLabels } from "./model-label.ts";
import { isProbe } from "./probe.ts";
import type { RequestRecord } from "./record.ts";

export interface UsageRow {
  /** Id of the key; `none` for requests that had no accepted one. */
  readonly key: string;
  readonly model: string;
  readonly requests: number;
  readonly failed: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Part of the input. */
  readonly cachedTokens: number;
  /** Part of the output. */
  readonly reasoningTokens: number;
  readonly firstUse: string;
  readonly lastUse: string;
}

export interface UsageReport {
  /** ISO time from which on this process counted. */
  readonly since: string;
  readonly at: string;
  /** Sorted by key, then by model. */
  readonly usage: readonly UsageRow[];
}

interface Count {
  readonly key: string;
  readonly model: string;
  requests: number;
  failed: number;
  input: number;
  output: number;
  cached: number;
  reasoning: number;
  readonly first: number;
  last: number;
}

/** Of records without a key. */
export const noKey = "none";
/** Keys come from a file that may change for ever; behind so many rows the rest is one. */
const mostRows = 5000;
const rest = { key: "other", model: "other" };

export class UsageBook {
  readonly #labels: ModelLabels;
  readonly #now: () => number;
  readonly #since: number;
  readonly #counts = new Map<string, Count>();

  /** `now` in milliseconds since the epoch. */
  constructor(labels: ModelLabels, now: () => number = Date.now) {
    this.#labels = labels;
    this.#now = now;
    this.#since = now();
  }

  finished(record: RequestRecord): void {
    if (isProbe(record.path)) return;
    const count = this.#countOf(record.key ?? noKey, this.#labels.of(record.model), record.at);
    count.requests++;
    if (record.outcome === "failed") count.failed++;
    if (record.at > count.last) count.last = record.at;
    const { tokens } = record;
    if (tokens === undefined) return;
    count.input += tokens.input;
    count.output += tokens.output;
    count.cached += tokens.cached;
    count.reasoning += tokens.reasoning;
  }

  report(): UsageReport {
    const rows = [...this.#counts.values()].sort((a, b) => compare(a.key, b.key) || compare(a.model, b.model));
    return { since: iso(this.#since), at: iso(this.#now()), usage: rows.map(rowOf) };
  }

  #countOf(key: string, model: string, at: number): Count {
    const name = `${key}\n${model}`;
    const found = this.#counts.get(name);
    if (found !== undefined) return found;
    const full = this.#counts.size >= mostRows && key !== rest.key;
    if (full) return this.#countOf(rest.key, rest.model, at);
    const fresh = {
      key,
      model,
      requests: 0,
      failed: 0,
      input: 0,
      output: 0,
      cached: 0,
      reasoning: 0,
      first: at,
      last: at,
    };
    this.#counts.set(name, fresh);
    return fresh;
  }
}

function rowOf(count: Count): UsageRow {
  return {
    key: count.key,
    model: count.model,
    requests: count.requests,
    failed: count.failed,
    inputTokens: count.input,
    outputTokens: count.output,
    cachedTokens: count.cached,
    reasoningTokens: count.reasoning,
    firstUse: iso(count.first),
    lastUse: iso(count.last),
  };
}

const iso = (at: number) => new Date(at).toISOString();
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
