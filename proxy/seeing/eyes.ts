/** Everyone who looks at finished requests, in one place: each gets the same record. */
import type { IncomingMessage } from "node:http";
import type { Logger } from "pino";
import type { SearchOutcome } from "../search/searxng.ts";
import type { JsonBody } from "../splice/body.ts";
import { AccessLog } from "./access-log.ts";
import { Captures } from "./captures.ts";
import { GpuReader } from "./gpu.ts";
import { type MetricSources, Metrics } from "./metrics.ts";
import { ModelLabels } from "./model-label.ts";
import type { RequestRecord } from "./record.ts";
import { Series } from "./series.ts";
import { UsageBook } from "./usage-book.ts";

export interface EyesParts extends Omit<MetricSources, "gpus" | "openStreams"> {
  readonly log: Logger;
  /** Whether a model is declared or loaded. */
  readonly knows: (model: string) => boolean;
  /** Where the supervisor leaves what it sees of the cards. */
  readonly folder: string;
  readonly captures: () => number;
}

export class Eyes {
  readonly usage: UsageBook;
  readonly series: Series;
  readonly captures: Captures;
  readonly metrics: Metrics;
  readonly gpu: GpuReader;
  readonly #accessLog: AccessLog;
  /** Event streams that are being answered. */
  openStreams = 0;

  constructor({ log, knows, folder, captures, ...sources }: EyesParts) {
    const labels = new ModelLabels(knows);
    this.usage = new UsageBook(labels);
    this.series = new Series(labels);
    this.captures = new Captures(captures);
    this.gpu = new GpuReader(folder);
    this.#accessLog = new AccessLog(log, labels);
    this.metrics = new Metrics(labels, {
      ...sources,
      openStreams: () => this.openStreams,
      gpus: () => this.gpu.facts(),
    });
  }

  finished(record: RequestRecord, request: IncomingMessage, body: JsonBody | undefined): void {
    this.#accessLog.finished(record);
    this.metrics.finished(record);
    this.usage.finished(record);
    this.series.finished(record);
    this.captures.finished(record, request.rawHeaders, () => body?.chunks.slice(0, body.chunks.length));
  }

  gap(model: string | undefined, ms: number): void {
    this.metrics.interToken(model, ms);
  }

  stream(open: boolean): void {
    this.openStreams += open ? 1 : -1;
  }

  heartbeat(): void {
    this.metrics.heartbeat();
  }

  searched(outcome: SearchOutcome): void {
    this.metrics.searched(outcome);
  }

  close(): void {
    this.gpu.stop();
    this.metrics.close();
  }
}
