/** Everything that can go wrong between a client and LM Studio, in words; `dialect.ts` prints it the way the client expects. */

export type FaultCode =
  | "invalid_json"
  | "invalid_request"
  | "context_length_exceeded"
  | "unsupported_encoding"
  | "request_too_large"
  | "request_too_slow"
  | "headers_too_large"
  | "malformed_request"
  | "method_not_allowed"
  | "missing_api_key"
  | "invalid_api_key"
  | "expired_api_key"
  | "rate_limit_exceeded"
  | "too_many_wrong_keys"
  | "model_not_allowed"
  | "model_not_found"
  | "management_closed"
  | "admin_only"
  | "other_address"
  | "older_process"
  | "unknown_path"
  | "websocket_not_supported"
  | "queue_full"
  | "queue_timeout"
  | "model_not_loaded"
  | "too_many_viewers"
  | "upstream_down"
  | "upstream_failed"
  | "upstream_error"
  | "internal_error";

export class Fault extends Error {
  override readonly name = "Fault";
  readonly status: number;
  readonly code: FaultCode;
  /** Seconds after which a retry makes sense; absent when it does not. */
  readonly retryAfter: number | undefined;
  /** More fields of the answer, as a flat list of names and values. */
  readonly headers: readonly string[];

  /** `message` says what was found, what was expected and what to do next. */
  constructor(
    status: number,
    code: FaultCode,
    message: string,
    options: { retryAfter?: number; cause?: unknown; headers?: readonly string[] } = {},
  ) {
    super(message, { cause: options.cause });
    this.status = status;
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.headers = options.headers ?? [];
  }
}

const retrySeconds = 2;

/** Nothing listens there: LM Studio is not running, or is being restarted by its supervisor. */
const unreachable = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "UND_ERR_CONNECT_TIMEOUT"]);

export function upstreamFault(error: unknown, upstream: string): Fault {
  const code = errorCode(error);
  if (unreachable.has(code)) {
    return new Fault(
      503,
      "upstream_down",
      `LM Studio does not answer at ${upstream} (${code}). It is not running or is being restarted; try again in ${retrySeconds} s. On the host, "lmstack status" tells more.`,
      { retryAfter: retrySeconds, cause: error },
    );
  }
  return new Fault(
    502,
    "upstream_failed",
    `LM Studio at ${upstream} broke off before its answer was complete (${code}). The request may have been too much for it; its log on the host tells more.`,
    { cause: error },
  );
}

function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : error instanceof Error ? error.message : String(error);
}
