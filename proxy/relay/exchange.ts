/** One request to LM Studio and its answer back to the client, unbuffered, with cancellation and backpressure both ways. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import { answerFault } from "../errors/answer.ts";
import { type Dialect, failureEvent } from "../errors/dialect.ts";
import { errorInSuccess, type Fault, upstreamFault } from "../errors/fault.ts";
import { hasUnreadBody } from "./body.ts";
import { type FlatHeaders, responseHeaders } from "./headers.ts";

/** What goes up. `body` is a list of chunks, or a stream of them for a body that is not rewritten. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: Iterable<Buffer> | AsyncIterable<Buffer> | null;
}

export interface Downstream {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly dialect: Dialect;
  readonly requestId: string;
  /** Added to the answer's own fields. */
  readonly extraHeaders: FlatHeaders;
}

/** How it ended; `fault` is what the client was told, when something was wrong. */
export type Outcome =
  | { readonly kind: "complete" }
  | { readonly kind: "client-gone" }
  | { readonly kind: "failed"; readonly fault: Fault };

/** Never rejects: whatever happens is an outcome, and the client has its answer by then. */
export function relay(upstream: Dispatcher, origin: string, up: UpstreamRequest, down: Downstream): Promise<Outcome> {
  return new Promise((resolve) => {
    const handler = new RelayHandler(origin, up.method, down, resolve);
    // Nothing but the client limits how long a model may think: a long prompt takes minutes before the first byte.
    const options = { ...up, headersTimeout: 0, bodyTimeout: 0 } as unknown as Dispatcher.DispatchOptions;
    upstream.dispatch(options, handler);
  });
}

/** An answer that begins like this may be one of LM Studio's errors with status 200. */
const errorStart = /^\s*\{\s*"error"/;
const longestErrorStart = 64;
const longestHeldError = 16_384;

class RelayHandler implements Dispatcher.DispatchHandler {
  readonly #origin: string;
  readonly #method: string;
  readonly #down: Downstream;
  readonly #settle: (outcome: Outcome) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #gone = false;
  #eventStream = false;
  /** The last bytes written to an event stream, at least four of them where there are as many. */
  #tail: Buffer = Buffer.alloc(0);
  /** Head and first chunks of an answer that may turn out to be an error in disguise. */
  #held: { readonly status: number; readonly headers: string[]; readonly chunks: Buffer[]; size: number } | undefined;

  constructor(origin: string, method: string, down: Downstream, settle: (outcome: Outcome) => void) {
    this.#origin = origin;
    this.#method = method;
    this.#down = down;
    this.#settle = settle;
    // Wired before anything is sent, so that it also covers the wait for a connection and for the first byte.
    down.response.once("close", this.#onClose);
    down.response.on("drain", this.#onDrain);
  }

  readonly #onClose = () => {
    if (this.#down.response.writableFinished) return;
    this.#gone = true;
    this.#controller?.abort(new Error("the client went away"));
  };

  readonly #onDrain = () => {
    this.#controller?.resume();
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#gone) controller.abort(new Error("the client went away"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    const headers = responseHeaders(flatten(controller.rawHeaders));
    const type = fieldOf(headers, "content-type");
    this.#eventStream = type.startsWith("text/event-stream");
    if (status === 200 && type.startsWith("application/json") && this.#method !== "HEAD") {
      this.#held = { status, headers, chunks: [], size: 0 };
      return;
    }
    this.#writeHead(status, headers);
    // A stream's head is news in itself: the client learns that its request was accepted.
    if (this.#eventStream) this.#down.response.flushHeaders();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const held = this.#held;
    if (held !== undefined) {
      held.chunks.push(chunk);
      held.size += chunk.length;
      if (this.#mayBeError(held)) return;
      this.#release(held);
      return;
    }
    this.#write(chunk);
  }

  onResponseEnd(): void {
    const held = this.#held;
    if (held !== undefined) {
      const fault = readError(Buffer.concat(held.chunks));
      if (fault !== undefined) {
        this.#fail(fault);
        return;
      }
      this.#release(held);
    }
    this.#down.response.end();
    this.#finish({ kind: "complete" });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#gone) this.#finish({ kind: "client-gone" });
    else this.#fail(upstreamFault(error, this.#origin));
  }

  #mayBeError(held: { readonly chunks: readonly Buffer[]; readonly size: number }): boolean {
    if (held.size > longestHeldError) return false;
    const start = Buffer.concat(held.chunks.slice(0, 8)).toString("latin1", 0, longestErrorStart);
    return start.length < 16 || errorStart.test(start);
  }

  #release(held: { readonly status: number; readonly headers: string[]; readonly chunks: readonly Buffer[] }): void {
    this.#held = undefined;
    this.#writeHead(held.status, held.headers);
    for (const chunk of held.chunks) this.#write(chunk);
  }

  #writeHead(status: number, headers: string[]): void {
    const { request, response, extraHeaders } = this.#down;
    // An answer that came before the body was through: the rest of that body must not be taken for a request.
    if (hasUnreadBody(request)) response.shouldKeepAlive = false;
    response.writeHead(status, [...headers, ...extraHeaders]);
  }

  #write(chunk: Buffer): void {
    if (this.#eventStream) this.#tail = chunk.length >= 4 ? chunk : Buffer.concat([this.#tail.subarray(-4), chunk]);
    if (!this.#down.response.write(chunk)) this.#controller?.pause();
  }

  #fail(fault: Fault): void {
    const { request, response, dialect, requestId } = this.#down;
    this.#held = undefined;
    if (!response.headersSent) {
      answerFault(request, response, fault, dialect);
    } else if (this.#eventStream) {
      const tail = this.#tail.subarray(-4).toString("latin1");
      const betweenEvents = tail === "" || /(?:\n\n|\r\n\r\n|\r\r)$/.test(tail);
      response.end((betweenEvents ? "" : "\n\n") + failureEvent(fault, dialect, requestId));
    } else {
      // Half a document can only be told from a whole one by a connection that breaks.
      response.destroy();
    }
    this.#finish({ kind: "failed", fault });
  }

  #finish(outcome: Outcome): void {
    this.#down.response.off("close", this.#onClose);
    this.#down.response.off("drain", this.#onDrain);
    this.#settle(outcome);
  }
}

function readError(body: Buffer): Fault | undefined {
  if (!errorStart.test(body.toString("latin1", 0, longestErrorStart))) return undefined;
  try {
    const parsed = JSON.parse(body.toString()) as { error?: unknown };
    const error = parsed.error;
    if (Object.keys(parsed).length !== 1 || error === null) return undefined;
    if (typeof error === "string") return errorInSuccess(error);
    const message = (error as { message?: unknown }).message;
    return errorInSuccess(typeof message === "string" ? message : JSON.stringify(error));
  } catch {
    return undefined;
  }
}

/** undici hands out the raw fields as buffers; header values are Latin-1 on the wire. */
function flatten(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((field) => (typeof field === "string" ? field : field.toString("latin1")));
}

function fieldOf(headers: FlatHeaders, name: string): string {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === name) return headers[i + 1]?.toLowerCase() ?? "";
  }
  return "";
}
