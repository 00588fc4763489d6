/** The last fifteen minutes for the status page: tokens a second and time to first token per model, and the latest errors. Pure but for the clock it is given. */
import type { ModelLabels } from "./model-label.ts";
import { isProbe } from "./probe.ts";
import type { RequestRecord } from "./record.ts";

export interface ModelSeries {
  readonly model: string;
  /** Oldest first; one number for each bucket. */
  readonly tokensPerSecond: readonly number[];
  /** Mean of the requests whose first token came in that bucket; null where none came. */
  readonly firstTokenMs: readonly (number | null)[];
}

export interface RecentError {
  /** ISO time of the latest one. */
  readonly at: string;
  /** Of the latest one. */
  readonly requestId: string;
  readonly model: string | null;
  readonly status: number;
  readonly code: string;
  /** Says what was found, what was expected and what to do. */
  readonly message: string;
  /** How often it came in a row. */
  readonly times: number;
}

export interface SeriesSnapshot {
  readonly bucketSeconds: number;
  /** ISO time at which the last bucket ends. A bucket that is still being filled is not shown: it would look like a fall. */
  readonly end: string;
  readonly models: readonly ModelSeries[];
  /** Latest first. */
  readonly recentErrors: readonly RecentError[];
}

const bucketSeconds = 10;
const bucketMs = bucketSeconds * 1000;
const shown = 90;
/** One more, which is being filled. */
const kept = shown + 1;
const errorsKept = 20;

/** Buckets are numbered since the epoch; number `n` lies at `n % kept` and is valid only while `holds` says `n`. */
class Ring {
  readonly tokens = new Float64Array(kept);
  readonly firstTokenMs = new Float64Array(kept);
  readonly firstTokens = new Uint32Array(kept);
  readonly #holds = new Float64Array(kept).fill(-1);

  /** Where bucket `n` lies; undefined when a later one has taken its place. */
  slot(n: number): number | undefined {
    const at = n % kept;
    const held = this.#holds[at] as number;
    if (held > n) return undefined;
    if (held < n) {
      this.#holds[at] = n;
      this.tokens[at] = 0;
      this.firstTokenMs[at] = 0;
      this.firstTokens[at] = 0;
    }
    return at;
  }

  has(n: number): boolean {
    return this.#holds[n % kept] === n;
  }
}

export class Series {
  readonly #labels: ModelLabels;
  readonly #rings = new Map<string, Ring>();
  readonly #errors: RecentError[] = [];

  constructor(labels: ModelLabels) {
    this.#labels = labels;
  }

  finished(record: RequestRecord): void {
    if (isProbe(record.path)) return;
    if (record.outcome === "failed") this.#addError(record);
    const output = record.tokens?.output ?? 0;
    if (output === 0 && record.firstTokenMs === undefined) return;
    const ring = this.#ringOf(this.#labels.of(record.model));
    const end = record.at + record.durationMs;
    const first = record.at + (record.firstTokenMs ?? 0);
    if (record.firstTokenMs !== undefined) addFirstToken(ring, first, record.firstTokenMs);
    if (output > 0) addTokens(ring, Math.min(first, end), end, output);
  }

  /** `now` in milliseconds since the epoch. Models without a token in the last fifteen minutes are left out. */
  snapshot(now: number): SeriesSnapshot {
    const end = bucketOf(now);
    const models: ModelSeries[] = [];
    for (const [model, ring] of this.#rings) {
      const series = read(ring, end - shown, end);
      if (series === undefined) this.#rings.delete(model);
      else models.push({ model, ...series });
    }
    models.sort((a, b) => (a.model < b.model ? -1 : 1));
    return { bucketSeconds, end: new Date(end * bucketMs).toISOString(), models, recentErrors: [...this.#errors] };
  }

  #ringOf(model: string): Ring {
    let ring = this.#rings.get(model);
    if (ring === undefined) {
      ring = new Ring();
      this.#rings.set(model, ring);
    }
    return ring;
  }

  #addError(record: RequestRecord): void {
    const at = new Date(record.at + record.durationMs).toISOString();
    const code = record.code ?? "internal_error";
    const model = record.model === undefined ? null : this.#labels.of(record.model);
    const last = this.#errors[0];
    const again = last !== undefined && last.code === code && last.model === model;
    // A hundred clients that meet the same error must not push the one before it out of sight.
    if (again) this.#errors.shift();
    this.#errors.unshift({
      at,
      requestId: record.requestId,
      model,
      status: record.status,
      code,
      message: record.message ?? "",
      times: again ? last.times + 1 : 1,
    });
    this.#errors.length = Math.min(this.#errors.length, errorsKept);
  }
}

function addFirstToken(ring: Ring, at: number, ms: number): void {
  const slot = ring.slot(bucketOf(at));
  if (slot === undefined) return;
  ring.firstTokenMs[slot] = (ring.firstTokenMs[slot] as number) + ms;
  ring.firstTokens[slot] = (ring.firstTokens[slot] as number) + 1;
}

/** Evenly over the time in which they came; what came before the window is left out. */
function addTokens(ring: Ring, start: number, end: number, tokens: number): void {
  const last = bucketOf(end);
  if (end - start < 1) {
    addShare(ring, last, tokens);
    return;
  }
  for (let n = Math.max(bucketOf(start), last - kept + 1); n <= last; n++) {
    const overlap = Math.min(end, (n + 1) * bucketMs) - Math.max(start, n * bucketMs);
    if (overlap > 0) addShare(ring, n, (tokens * overlap) / (end - start));
  }
}

function addShare(ring: Ring, n: number, tokens: number): void {
  const slot = ring.slot(n);
  if (slot !== undefined) ring.tokens[slot] = (ring.tokens[slot] as number) + tokens;
}

/** Buckets from `from` up to but not with `to`; undefined when nothing is in any of them or in the one being filled. */
function read(ring: Ring, from: number, to: number): Omit<ModelSeries, "model"> | undefined {
  const tokensPerSecond: number[] = [];
  const firstTokenMs: (number | null)[] = [];
  let any = ring.has(to);
  for (let n = from; n < to; n++) {
    const at = n % kept;
    const held = ring.has(n);
    any ||= held;
    const count = held ? (ring.firstTokens[at] as number) : 0;
    tokensPerSecond.push(held ? (ring.tokens[at] as number) / bucketSeconds : 0);
    firstTokenMs.push(count === 0 ? null : (ring.firstTokenMs[at] as number) / count);
  }
  return any ? { tokensPerSecond, firstTokenMs } : undefined;
}

const bucketOf = (at: number) => Math.floor(at / bucketMs);
