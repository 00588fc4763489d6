/**
 * One line a request, without a word of a prompt or an answer. Names of fields are a contract with those who search logs:
 *
 * | field | meaning |
 * |---|---|
 * | `msg` | `request` |
 * | `requestId` | as in the answer's `x-lmstack-request-id` |
 * | `method`, `path`, `endpoint` | without the query; `endpoint` is the metrics' label |
 * | `model`, `key` | as the client named it; id of its key |
 * | `outcome`, `status` | `complete`, `client-gone` or `failed`; 0: gone before an answer began |
 * | `code`, `reason` | of a failed request: what was found, what was expected, what to do |
 * | `stream` | the answer was an event stream |
 * | `ms`, `queueMs`, `firstTokenMs` | from the request's head to the end; waiting for a slot; to the first token |
 * | `input`, `output`, `cached`, `reasoning` | tokens, as LM Studio counted them |
 * | `requestBytes`, `responseBytes` | of the bodies |
 * | `rewritten`, `leaks`, `retried` | what was changed; thoughts that were cut out; sent a second time. Absent when nothing was |
 * | `repaired` | kinds of wrong calls that were put right; absent when there were none |
 *
 * Level: `warn` when it failed, `debug` for probes, else `info`.
 */
import type { Logger } from "pino";
import { type ModelLabels, otherModel } from "./model-label.ts";
import { isProbe } from "./probe.ts";
import type { RequestRecord } from "./record.ts";
import { unwantedReasoning } from "./thoughts.ts";

/** Paths and upstream's words can be as long as a header or a body. */
const longestText = 1000;

export class AccessLog {
  readonly #log: Logger;
  readonly #labels: ModelLabels;
  readonly #warned = new Set<string>();

  constructor(log: Logger, labels: ModelLabels) {
    this.#log = log;
    this.#labels = labels;
  }

  finished(record: RequestRecord): void {
    const level = record.outcome === "failed" ? "warn" : isProbe(record.path) ? "debug" : "info";
    if (this.#log.isLevelEnabled(level)) this.#log[level](entryOf(record), "request");
    if (record.leaks > 0 || unwantedReasoning(record) > 0) this.#warnOfThoughts(record);
  }

  #warnOfThoughts(record: RequestRecord): void {
    const model = this.#labels.of(record.model);
    if (this.#warned.has(model)) return;
    this.#warned.add(model);
    const name = model === otherModel ? cut(record.model) : model;
    const found =
      record.leaks > 0
        ? `${record.leaks} thoughts were cut out of one answer`
        : `LM Studio counted ${unwantedReasoning(record)} reasoning tokens in one answer`;
    const words = `model ${name} thinks although thinking is off: ${found}. Set proxy.noThink: both in the spec and run "pulumi up"; where that does not help either, the model's template ignores the switch, and another build of the model is needed. Told once for this model; lmstack_leaks_total and lmstack_unwanted_reasoning_tokens_total go on counting.`;
    this.#log.warn({ model: name, requestId: record.requestId, leaks: record.leaks }, words);
  }
}

function entryOf(record: RequestRecord): Record<string, unknown> {
  const { tokens } = record;
  const entry: Record<string, unknown> = {
    requestId: record.requestId,
    method: record.method,
    path: cut(record.path),
    endpoint: record.endpoint,
    outcome: record.outcome,
    status: record.status,
    stream: record.stream,
    ms: Math.round(record.durationMs),
  };
  if (record.model !== undefined) entry.model = cut(record.model);
  if (record.key !== undefined) entry.key = record.key;
  if (record.queueMs !== undefined) entry.queueMs = Math.round(record.queueMs);
  if (record.firstTokenMs !== undefined) entry.firstTokenMs = Math.round(record.firstTokenMs);
  if (tokens !== undefined) {
    entry.input = tokens.input;
    entry.output = tokens.output;
    entry.cached = tokens.cached;
    entry.reasoning = tokens.reasoning;
  }
  entry.requestBytes = record.requestBytes;
  entry.responseBytes = record.responseBytes;
  if (record.rewritten.length > 0) entry.rewritten = record.rewritten;
  if (record.leaks > 0) entry.leaks = record.leaks;
  if (record.repairs !== undefined) entry.repaired = [...record.repairs.keys()];
  if (record.retried) entry.retried = true;
  if (record.outcome === "failed") {
    entry.code = record.code;
    entry.reason = cut(record.message);
  }
  return entry;
}

function cut(text: string | undefined): string | undefined {
  return text !== undefined && text.length > longestText ? `${text.slice(0, longestText)}…` : text;
}
