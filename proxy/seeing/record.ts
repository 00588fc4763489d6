import type { RepairKind } from "../codex/answer/repairs.ts";
import type { FaultCode } from "../errors/fault.ts";

/** Of one answer, as LM Studio counted them; `cached` and `reasoning` are parts of `input` and `output`. */
export interface TokenUsage {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
  readonly reasoning: number;
}

/**
 * Everything that is remembered of one request after its end: log line, metrics, usage and status page are made from it and from nothing else.
 * It never holds a word of a prompt or an answer. Durations are milliseconds.
 */
export interface RequestRecord {
  readonly requestId: string;
  /** Milliseconds since the epoch at which its head was there. */
  readonly at: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** A known endpoint's path, `/v1/models/{id}` for one model's entry, `other` for everything else: few enough for a label. */
  readonly endpoint: string;
  /** As the client named it, without `:think` and `:no-think`; absent when no model was named. */
  readonly model?: string;
  /** Id of the key; absent when none was accepted. */
  readonly key?: string;
  /** 0 when the client was gone before an answer began. */
  readonly status: number;
  readonly outcome: "complete" | "client-gone" | "failed";
  /** Of a failed request. */
  readonly code?: FaultCode;
  readonly message?: string;
  readonly stream: boolean;
  readonly durationMs: number;
  /** Waiting for a slot; absent for requests that need none. */
  readonly queueMs?: number;
  /** From the request's head to the first token; absent without one. */
  readonly firstTokenMs?: number;
  readonly tokens?: TokenUsage;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Names of the rewritings that were made, as `x-lmstack-rewritten` has them. */
  readonly rewritten: readonly string[];
  /** Thoughts that were cut out of the answer. */
  readonly leaks: number;
  /** What was put right in the answer's calls; absent when nothing was. */
  readonly repairs?: ReadonlyMap<RepairKind, number>;
  /** The request was sent a second time because the first connection had died before it was read. */
  readonly retried: boolean;
}
