/**
 * What Prometheus is told. Counters and histograms are fed by each finished request's record; gauges are read when somebody asks.
 * Every label has few values: models as `ModelLabels` names them, ids of keys, endpoints as the record has them.
 */
import { Counter, Histogram, Registry } from "prom-client";
import type { FaultCode } from "../errors/fault.ts";
import { type SearchOutcome, searchOutcomes } from "../search/searxng.ts";
import { type GaugeSources, Gauges } from "./gauges.ts";
import type { ModelLabels } from "./model-label.ts";
import { isProbe } from "./probe.ts";
import { ProcessGauges } from "./process-gauges.ts";
import type { RequestRecord } from "./record.ts";
import { unwantedReasoning } from "./thoughts.ts";
import { noKey } from "./usage-book.ts";

export interface MetricSources extends GaugeSources {
  readonly version: string;
}

/** Up to the longest waits that a queue and a 200,000 token prompt bring. */
const firstTokenSeconds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320];
/** From a small model on a fast card to a large one that is partly in main memory. */
const tokenSeconds = [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5];
const queueSeconds = [0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];
const requestSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280];

/** Counted from nought, so that the first error of a kind is a rise; other codes that begin like them are counted from when they come. */
const upstreamKinds: readonly FaultCode[] = ["upstream_down", "upstream_failed", "upstream_error"];
/** LM Studio's refusal too, although it is told as the request's fault. */
const noRoom: FaultCode = "context_length_exceeded";

/** prom-client's children, found once per combination of labels: looking them up by name for each request would cost more than counting. */
interface ModelCounters {
  readonly firstToken: Histogram.Internal<"model">;
  readonly token: Histogram.Internal<"model">;
  readonly queueWait: Histogram.Internal<"model">;
  readonly leaks: Counter.Internal;
  readonly unwanted: Counter.Internal;
  readonly cancelled: Counter.Internal;
}

interface TokenCounters {
  readonly input: Counter.Internal;
  readonly output: Counter.Internal;
  readonly cached: Counter.Internal;
  readonly reasoning: Counter.Internal;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #labels: ModelLabels;
  readonly #gauges: Gauges;
  readonly #process: ProcessGauges;
  readonly #models = new Map<string, ModelCounters>();
  readonly #tokens = new Map<string, TokenCounters>();
  readonly #durations = new Map<string, Histogram.Internal<"model" | "endpoint">>();
  readonly #requests = new Map<string, Counter.Internal>();

  readonly #firstToken = this.#histogram("time_to_first_token_seconds", firstTokenSeconds, ["model"], {
    help: "From a request's head to the first token of its answer, waiting for a slot included.",
  });
  readonly #token = this.#histogram("inter_token_seconds", tokenSeconds, ["model"], {
    help: "Between one token-bearing event of a stream and the next.",
  });
  readonly #queueWait = this.#histogram("queue_wait_seconds", queueSeconds, ["model"], {
    help: "Waiting for a slot, of requests that need one.",
  });
  readonly #duration = this.#histogram("request_duration_seconds", requestSeconds, ["model", "endpoint"], {
    help: "From a request's head to the end of its answer.",
  });
  readonly #request = this.#counter("requests_total", ["model", "key", "endpoint", "status"], {
    help: "Finished requests; status 0: the client was gone before an answer began.",
  });
  readonly #input = this.#counter("input_tokens_total", ["model", "key"], { help: "Tokens of prompts." });
  readonly #output = this.#counter("output_tokens_total", ["model", "key"], { help: "Tokens of answers." });
  readonly #cached = this.#counter("cached_tokens_total", ["model", "key"], {
    help: "Tokens of prompts that LM Studio had in its cache; part of the input tokens.",
  });
  readonly #reasoning = this.#counter("reasoning_tokens_total", ["model", "key"], {
    help: "Tokens that were thought; part of the output tokens.",
  });
  readonly #leak = this.#counter("leaks_total", ["model"], { help: "Thoughts that were cut out of answers." });
  readonly #repaired = this.#counter("repaired_calls_total", ["model", "kind"], {
    help: "Calls of tools that a model made in a wrong form and that were put right, by what was wrong.",
  });
  readonly #unwanted = this.#counter("unwanted_reasoning_tokens_total", ["model"], {
    help: "Reasoning tokens in answers to requests in which the proxy had switched thinking off.",
  });
  readonly #cancelled = this.#counter("cancelled_requests_total", ["model"], {
    help: "Requests whose client went away before the end.",
  });
  readonly #upstreamError = this.#counter("upstream_errors_total", ["kind"], {
    help: "Requests that LM Studio failed, by the proxy's error code.",
  });
  readonly #refused = this.#counter("refused_total", ["code"], {
    help: "Requests that the proxy itself did not serve, by its error code.",
  });
  readonly #internal = this.#counter("internal_errors_total", [], {
    help: "Requests that failed by a defect of the proxy.",
  });
  readonly #retry = this.#counter("upstream_retries_total", [], {
    help: "Requests sent again because a kept connection had died before LM Studio read them.",
  });
  readonly #heartbeat = this.#counter("heartbeats_total", [], {
    help: "Events sent into the silence of a thinking model.",
  });
  readonly #search = this.#counter("searches_total", ["outcome"], {
    help: "Web searches that models asked for, by how they ended.",
  });

  constructor(labels: ModelLabels, sources: MetricSources) {
    this.#labels = labels;
    this.#gauges = new Gauges(this.#registry, labels, sources);
    this.#process = new ProcessGauges(this.#registry, sources.version);
    for (const kind of upstreamKinds) this.#upstreamError.inc({ kind }, 0);
    for (const outcome of searchOutcomes) this.#search.inc({ outcome }, 0);
  }

  /** A few microseconds. */
  finished(record: RequestRecord): void {
    if (isProbe(record.path)) return;
    const model = this.#labels.of(record.model);
    const key = record.key ?? noKey;
    this.#countRequest(record, model, key);
    const counters = this.#of(model);
    if (record.queueMs !== undefined) counters.queueWait.observe(record.queueMs / 1000);
    if (record.firstTokenMs !== undefined) counters.firstToken.observe(record.firstTokenMs / 1000);
    if (record.tokens !== undefined) {
      const tokens = this.#tokensOf(model, key);
      const { input, output, cached, reasoning } = record.tokens;
      if (input > 0) tokens.input.inc(input);
      if (output > 0) tokens.output.inc(output);
      if (cached > 0) tokens.cached.inc(cached);
      if (reasoning > 0) tokens.reasoning.inc(reasoning);
      const unwanted = unwantedReasoning(record);
      if (unwanted > 0) counters.unwanted.inc(unwanted);
    }
    if (record.leaks > 0) counters.leaks.inc(record.leaks);
    for (const [kind, count] of record.repairs ?? []) this.#repaired.inc({ model, kind }, count);
    if (record.retried) this.#retry.inc();
    if (record.outcome === "client-gone") counters.cancelled.inc();
    else if (record.outcome === "failed") this.#countFailure(record.code ?? "internal_error");
  }

  /** Between two token-bearing events of one answer. */
  interToken(model: string | undefined, ms: number): void {
    this.#of(this.#labels.of(model)).token.observe(ms / 1000);
  }

  heartbeat(): void {
    this.#heartbeat.inc();
  }

  searched(outcome: SearchOutcome): void {
    this.#search.inc({ outcome });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition for `GET /metrics`. */
  async text(): Promise<string> {
    await Promise.all([this.#gauges.read(), this.#process.read()]);
    return await this.#registry.metrics();
  }

  close(): void {
    this.#process.close();
  }

  #countRequest(record: RequestRecord, model: string, key: string): void {
    const { endpoint, status } = record;
    const name = `${model}\n${endpoint}`;
    let duration = this.#durations.get(name);
    if (duration === undefined) {
      duration = this.#duration.labels({ model, endpoint });
      this.#durations.set(name, duration);
    }
    duration.observe(record.durationMs / 1000);
    const full = `${name}\n${key}\n${status}`;
    let requests = this.#requests.get(full);
    if (requests === undefined) {
      requests = this.#request.labels({ model, key, endpoint, status: String(status) });
      this.#requests.set(full, requests);
    }
    requests.inc();
  }

  #countFailure(code: FaultCode): void {
    if (code === "internal_error") this.#internal.inc();
    else if (code.startsWith("upstream_") || code === noRoom) this.#upstreamError.inc({ kind: code });
    else this.#refused.inc({ code });
  }

  #of(model: string): ModelCounters {
    const found = this.#models.get(model);
    if (found !== undefined) return found;
    const labels = { model };
    const fresh = {
      firstToken: this.#firstToken.labels(labels),
      token: this.#token.labels(labels),
      queueWait: this.#queueWait.labels(labels),
      leaks: this.#leak.labels(labels),
      unwanted: this.#unwanted.labels(labels),
      cancelled: this.#cancelled.labels(labels),
    };
    // There from the model's first request on, so that a later first leak is a rise and not a beginning.
    for (const counter of [fresh.leaks, fresh.unwanted, fresh.cancelled]) counter.inc(0);
    this.#models.set(model, fresh);
    return fresh;
  }

  #tokensOf(model: string, key: string): TokenCounters {
    const name = `${model}\n${key}`;
    const found = this.#tokens.get(name);
    if (found !== undefined) return found;
    const labels = { model, key };
    const fresh = {
      input: this.#input.labels(labels),
      output: this.#output.labels(labels),
      cached: this.#cached.labels(labels),
      reasoning: this.#reasoning.labels(labels),
    };
    for (const counter of Object.values(fresh)) counter.inc(0);
    this.#tokens.set(name, fresh);
    return fresh;
  }

  #counter<Label extends string>(name: string, labelNames: Label[], { help }: { help: string }): Counter<Label> {
    return new Counter({ name: `lmstack_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram<Label extends string>(
    name: string,
    buckets: number[],
    labelNames: Label[],
    { help }: { help: string },
  ): Histogram<Label> {
    return new Histogram({ name: `lmstack_${name}`, help, buckets, labelNames, registers: [this.#registry] });
  }
}
