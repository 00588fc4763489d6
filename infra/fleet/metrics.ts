/**
 * What a host's proxy counts (`GET /metrics`), as one reading, and what happened between two readings. Pure.
 * Names and labels are those of `proxy/seeing`, the form is Prometheus' text exposition format 0.0.4.
 */

export interface Reading {
  /** Of a clock that only goes forward, in milliseconds. */
  readonly at: number;
  /** Start of the proxy's process, in seconds since the epoch. */
  readonly since: number;
  /** Every declared model is loaded and nothing is being drained. */
  readonly ready: boolean;
  /** Finished requests to models since then, and how many of them failed by a fault that was not the client's. */
  readonly requests: number;
  readonly errors: number;
  readonly models: Readonly<Record<string, ModelReading>>;
}

export interface ModelReading {
  readonly running: number;
  readonly queued: number;
  /** Null where there is no limit. */
  readonly slots: number | null;
  /** Since then: tokens of answers, and thoughts in answers that should have none. */
  readonly outputTokens: number;
  readonly thoughts: number;
  readonly firstToken: Durations;
  /** Between one token of a stream and the next. */
  readonly betweenTokens: Durations;
}

interface Durations {
  readonly seconds: number;
  readonly count: number;
}

export interface Rates {
  readonly seconds: number;
  readonly requests: number;
  readonly errors: number;
  readonly models: Readonly<Record<string, ModelRates>>;
}

export interface ModelRates {
  /** Of all answers together. */
  readonly tokensPerSecond: number;
  /** Tokens a second of one stream, on average: what a client feels, whatever the load. Null without a token in that time. */
  readonly pace: number | null;
  /** Tokens that say so. */
  readonly paced: number;
  /** Seconds to the first token, on average; null without one in that time. */
  readonly firstToken: number | null;
  readonly thoughts: number;
}

/** Requests that run or wait, of all models. */
export const busyOf = ({ models }: Reading): number =>
  Object.values(models).reduce((sum, { running, queued }) => sum + running + queued, 0);

/** What a new process counted is all new. */
export function ratesBetween(before: Reading, after: Reading): Rates {
  const seconds = (after.at - before.at) / 1_000;
  const same = after.since === before.since;
  const since = (earlier: number | undefined, later: number): number => later - (same ? (earlier ?? 0) : 0);
  const models = Object.entries(after.models).map(([model, now]): [string, ModelRates] => {
    const then = before.models[model];
    const spent = (of: "firstToken" | "betweenTokens"): Durations => ({
      seconds: since(then?.[of].seconds, now[of].seconds),
      count: since(then?.[of].count, now[of].count),
    });
    const [first, between] = [spent("firstToken"), spent("betweenTokens")];
    return [
      model,
      {
        tokensPerSecond: seconds > 0 ? since(then?.outputTokens, now.outputTokens) / seconds : 0,
        pace: between.seconds > 0 ? between.count / between.seconds : null,
        paced: between.count,
        firstToken: first.count > 0 ? first.seconds / first.count : null,
        thoughts: since(then?.thoughts, now.thoughts),
      },
    ];
  });
  return {
    seconds,
    requests: since(before.requests, after.requests),
    errors: since(before.errors, after.errors),
    models: Object.fromEntries(models),
  };
}

/** Too long a prompt is the client's fault, whoever says so. */
const clientsFault = "context_length_exceeded";
const modelWork = /\/(?:responses|completions|messages|chat|embeddings)$/;
/** The proxy's own refusals that mean that the host could not do its work. */
const hostsRefusals = new Set(["queue_full", "queue_timeout", "model_not_loaded"]);

/** @returns null when it is no text of this proxy */
export function readingOf(text: string, at: number): Reading | null {
  const samples = Map.groupBy(samplesIn(text), ({ name }) => name);
  const of = (name: string): readonly Sample[] => samples.get(`lmstack_${name}`) ?? [];
  const [ready] = of("ready");
  if (ready === undefined) return null;
  const total = (found: readonly Sample[]): number => found.reduce((sum, { value }) => sum + value, 0);
  const ids = new Set(
    ["running", "output_tokens_total", "time_to_first_token_seconds_count"]
      .flatMap(of)
      .map(({ labels }) => labels.model ?? ""),
  );
  const modelReading = (model: string): ModelReading => {
    const own = (name: string): readonly Sample[] => of(name).filter(({ labels }) => labels.model === model);
    const durations = (name: string): Durations => ({
      seconds: total(own(`${name}_sum`)),
      count: total(own(`${name}_count`)),
    });
    return {
      running: total(own("running")),
      queued: total(own("queued")),
      slots: own("slots")[0]?.value ?? null,
      outputTokens: total(own("output_tokens_total")),
      thoughts: total([...own("leaks_total"), ...own("unwanted_reasoning_tokens_total")]),
      firstToken: durations("time_to_first_token_seconds"),
      betweenTokens: durations("inter_token_seconds"),
    };
  };
  return {
    at,
    since: samples.get("process_start_time_seconds")?.[0]?.value ?? 0,
    ready: ready.value === 1,
    requests: total(of("requests_total").filter(({ labels }) => modelWork.test(labels.endpoint ?? ""))),
    errors: total([
      ...of("upstream_errors_total").filter(({ labels }) => labels.kind !== clientsFault),
      ...of("refused_total").filter(({ labels }) => hostsRefusals.has(labels.code ?? "")),
      ...of("internal_errors_total"),
    ]),
    models: Object.fromEntries([...ids].map((id) => [id, modelReading(id)])),
  };
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$/;
const labelPair = /([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"/g;

/** Lines that are none are left out: a newer proxy may say more. */
export function* samplesIn(text: string): Iterable<Sample> {
  for (const line of text.split("\n")) {
    const [, name, inner = "", number = ""] = sampleLine.exec(line) ?? [];
    if (name === undefined) continue;
    const labels = [...inner.matchAll(labelPair)].map(([, label = "", value = ""]) => [label, unescaped(value)]);
    yield { name, labels: Object.fromEntries(labels), value: numberOf(number) };
  }
}

const unescaped = (value: string): string =>
  value.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));

const numberOf = (text: string): number => Number(text.replace(/^([+-]?)Inf$/, "$1Infinity"));
