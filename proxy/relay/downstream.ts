/** The client's side of an exchange: head, stream, heartbeats and the end, each written in the client's own form. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnswerForm } from "../answer/leak.ts";
import { answerFault } from "../errors/answer.ts";
import { type Dialect, failureEvent } from "../errors/dialect.ts";
import type { Fault } from "../errors/fault.ts";
import { hasUnreadBody } from "./body.ts";
import type { FlatHeaders } from "./headers.ts";
import { heartbeat, responseIdIn } from "./heartbeat.ts";

export interface DownstreamParts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly dialect: Dialect;
  readonly requestId: string;
  /** As the client named it. */
  readonly model: string;
  /** Added to the answer's own fields. */
  readonly extraHeaders: FlatHeaders;
  /** Form of the events that bridge a silence; absent where the client did not ask for a stream. */
  readonly heartbeatForm?: AnswerForm | undefined;
  /** Milliseconds of silence after which one is sent; 0 never. */
  readonly heartbeatMs: number;
  readonly onHeartbeat: () => void;
}

const streamHead: FlatHeaders = ["content-type", "text/event-stream; charset=utf-8", "cache-control", "no-cache"];

export class Downstream {
  readonly #parts: DownstreamParts;
  #timer: NodeJS.Timeout | undefined;
  /** An event stream was begun, by LM Studio's answer or by a heartbeat before it. */
  #eventStream = false;
  #headByHeartbeat = false;
  /** The last four bytes written to an event stream, in one number: a view would keep the whole chunk alive while the stream is idle. */
  #tail = 0;
  #responseId: string | undefined;
  #relayed = false;
  #beaten = false;
  bytes = 0;

  constructor(parts: DownstreamParts) {
    this.#parts = parts;
  }

  get response(): ServerResponse {
    return this.#parts.response;
  }

  /** The head is out, sent by a heartbeat or by an earlier round: status and fields of LM Studio's answer come too late. */
  get begun(): boolean {
    return this.#parts.response.headersSent;
  }

  /** The client asked for a stream. */
  get wantsStream(): boolean {
    return this.#parts.heartbeatForm !== undefined;
  }

  /** The response id that a heartbeat had to give before LM Studio said anything. */
  get toldId(): string | undefined {
    return this.#headByHeartbeat ? this.#ownId : undefined;
  }

  get #ownId(): string {
    return `resp_${this.#parts.requestId}`;
  }

  /** From here on silence is bridged. Only for a request that is with LM Studio: before that a status is still an honest status. */
  startHeartbeats(): void {
    const { heartbeatForm, heartbeatMs } = this.#parts;
    if (heartbeatForm === undefined || heartbeatMs <= 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#beat(heartbeatForm), heartbeatMs);
  }

  writeHead(status: number, headers: readonly string[], eventStream: boolean): void {
    const { request, response, extraHeaders } = this.#parts;
    this.#eventStream = eventStream;
    // Only an event stream has events to bridge a silence with.
    if (!eventStream) this.#stopHeartbeats();
    if (response.headersSent) return;
    // An answer that came before the body was through: the rest of that body must not be taken for a request.
    if (hasUnreadBody(request)) response.shouldKeepAlive = false;
    // Reverse proxies in front of this one buffer event streams unless they are told not to.
    const unbuffered = eventStream ? ["x-accel-buffering", "no"] : [];
    response.writeHead(status, [...headers, ...unbuffered, ...extraHeaders]);
    // A stream's head is news in itself: the client learns that its request was accepted. What came with it goes with it.
    if (eventStream) setImmediate(this.#flushHead);
  }

  readonly #flushHead = () => {
    if (!this.#relayed && !this.#parts.response.destroyed) this.#parts.response.flushHeaders();
  };

  /** False when the client does not keep up. */
  write(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    if (this.#eventStream) {
      this.#tail = tailOf(this.#tail, chunk);
      this.#timer?.refresh();
      if (!this.#relayed && this.#parts.heartbeatForm === "responses") this.#responseId = responseIdIn(chunk);
    }
    this.#relayed = true;
    this.bytes += chunk.length;
    return this.#parts.response.write(chunk);
  }

  end(trailers?: Readonly<Record<string, string | string[]>>): void {
    this.#stopHeartbeats();
    const { response } = this.#parts;
    if (trailers !== undefined && Object.keys(trailers).length > 0)
      response.addTrailers(trailers as NodeJS.Dict<string>);
    response.end();
  }

  fail(fault: Fault): void {
    this.#stopHeartbeats();
    const { request, response, dialect, requestId } = this.#parts;
    const responseId = this.#responseId ?? this.#ownId;
    if (!response.headersSent) {
      answerFault(request, response, fault, dialect, ["x-lmstack-request-id", requestId]);
    } else if (this.#eventStream) {
      response.end((this.#betweenEvents() ? "" : "\n\n") + failureEvent(fault, dialect, responseId));
    } else {
      // Half a document can only be told from a whole one by a connection that breaks.
      response.destroy();
    }
  }

  close(): void {
    this.#stopHeartbeats();
  }

  #beat(form: AnswerForm): void {
    const { response, requestId, model, onHeartbeat } = this.#parts;
    this.#timer?.refresh();
    // In the middle of an event, or when the client has not taken what is there: it sees life anyway, later.
    if (response.destroyed || response.writableNeedDrain || !this.#betweenEvents()) return;
    if (!response.headersSent) {
      this.writeHead(200, streamHead, true);
      this.#headByHeartbeat = true;
    }
    const now = Math.floor(Date.now() / 1_000);
    const first = !this.#relayed && !this.#beaten;
    this.#beaten = true;
    response.write(heartbeat(form, { requestId, model, now, first, responseId: this.#responseId ?? this.#ownId }));
    onHeartbeat();
  }

  #stopHeartbeats(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #betweenEvents(): boolean {
    const tail = this.#tail;
    const two = tail & 0xffff;
    return !this.#relayed || two === 0x0a0a || two === 0x0d0d || tail === 0x0d0a0d0a;
  }
}

function tailOf(before: number, chunk: Buffer): number {
  if (chunk.length >= 4) return chunk.readInt32BE(chunk.length - 4);
  let tail = before;
  for (const byte of chunk) tail = (tail << 8) | byte;
  return tail;
}
