/** The latest failed requests with everything that helps to find out why, and nothing of what was said in them. */
import { type BodyShape, shapeOf } from "./body-shape.ts";
import { isProbe } from "./probe.ts";
import type { RequestRecord } from "./record.ts";

export interface CapturedHeader {
  readonly name: string;
  /** Only of fields that hold neither secrets nor words of people. */
  readonly value?: string;
}

export interface Capture {
  readonly record: RequestRecord;
  /** In the order in which they came. */
  readonly headers: readonly CapturedHeader[];
  /** Absent when the body had not arrived. */
  readonly body?: BodyShape;
  /** Parts were left out, because the capture would have been too large. */
  readonly cut?: true;
}

const shownValues: ReadonlySet<string> = new Set(["accept", "content-length", "content-type", "user-agent"]);
const mostHeaders = 64;
const longestName = 64;
const longestValue = 200;
const longestMessage = 1000;
/** Of one capture, as JSON. */
const mostBytes = 16_384;

export class Captures {
  readonly #size: () => number;
  readonly #kept: Capture[] = [];

  /** `size`: how many are kept; it may change while the proxy runs. */
  constructor(size: () => number) {
    this.#size = size;
  }

  /**
   * Keeps a request that failed, or that LM Studio answered with an error; others are left alone. `rawHeaders` alternates names and
   * values, as Node has them. `body` is asked only when there is something to keep.
   */
  finished(record: RequestRecord, rawHeaders: readonly string[], body: () => Buffer | undefined): void {
    const size = this.#size();
    if (size === 0 || isProbe(record.path) || (record.outcome !== "failed" && record.status < 400)) return;
    this.#kept.unshift(captureOf(record, rawHeaders, body()));
    this.#kept.length = Math.min(this.#kept.length, size);
  }

  /** Latest first. */
  list(): readonly Capture[] {
    return this.#kept.slice(0, this.#size());
  }
}

function captureOf(record: RequestRecord, rawHeaders: readonly string[], body: Buffer | undefined): Capture {
  const bounded = {
    ...record,
    path: record.path.slice(0, longestMessage),
    ...(record.model === undefined ? {} : { model: record.model.slice(0, longestMessage) }),
    ...(record.message === undefined ? {} : { message: record.message.slice(0, longestMessage) }),
  };
  const headers = redacted(rawHeaders);
  const shape = body === undefined ? {} : { body: shapeOf(body) };
  const whole: Capture = { record: bounded, headers, ...shape };
  if (JSON.stringify(whole).length <= mostBytes) return whole;
  const { members: _, ...size } = shape.body ?? { bytes: 0, json: "invalid" };
  return { record: bounded, headers: headers.slice(0, 16), ...(body === undefined ? {} : { body: size }), cut: true };
}

function redacted(rawHeaders: readonly string[]): CapturedHeader[] {
  const headers: CapturedHeader[] = [];
  for (let i = 0; i + 1 < rawHeaders.length && headers.length < mostHeaders; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase().slice(0, longestName);
    const value = rawHeaders[i + 1] ?? "";
    headers.push(shownValues.has(name) ? { name, value: value.slice(0, longestValue) } : { name });
  }
  return headers;
}
