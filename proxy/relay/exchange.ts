/** One request to LM Studio and its answer back to the client, unbuffered, with cancellation and backpressure both ways. */
import type { Dispatcher } from "undici";
import { type AnswerFilter, chained } from "../answer/filter.ts";
import type { AnswerMeter } from "../answer/meter.ts";
import { summedTokens } from "../answer/usage.ts";
import type { Round, Rounds } from "../codex/answer/rounds.ts";
import type { AnswerTranslator } from "../codex/answer/translator.ts";
import { type Fault, upstreamFault } from "../errors/fault.ts";
import { errorInSuccess, notLoadedFault, refusalAfterHead, refusalFor, unstreamed } from "../errors/lm-studio.ts";
import type { TokenUsage } from "../seeing/record.ts";
import type { Connection, Sent } from "../upstream/connections.ts";
import { Arrivals } from "./arrivals.ts";
import type { Downstream } from "./downstream.ts";
import { type FlatHeaders, fieldOf, rawFields, responseHeaders, without } from "./headers.ts";
import { errorInstead, Held } from "./held.ts";
import { TokenClock } from "./token-clock.ts";
import type { AnswerWork, Outcome, UpstreamRequest } from "./work.ts";

/** Never rejects: whatever happens is an outcome, and the client has its answer by then. */
export function relay(
  upstream: Dispatcher,
  origin: string,
  up: UpstreamRequest,
  down: Downstream,
  work: AnswerWork,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const exchange = new Exchange(upstream, origin, up, down, work, resolve);
    exchange.dispatch();
  });
}

/** A connection that LM Studio had closed while it lay idle shows that at once; what fails later has failed at its work. */
const reuseRaceMs = 1_000;
/** Several kept connections may have died together, when LM Studio was restarted; one that is made anew and fails is no race. */
const mostRetries = 4;
const reuseRace: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

const streamType: FlatHeaders = ["content-type", "text/event-stream; charset=utf-8"];

class Exchange implements Dispatcher.DispatchHandler, Sent {
  readonly #upstream: Dispatcher;
  readonly #origin: string;
  readonly #down: Downstream;
  readonly #work: AnswerWork;
  readonly #settle: (outcome: Outcome) => void;
  /** Kept until LM Studio answers, since it may have to be sent again; a long stream must not hold its prompt. */
  #up: UpstreamRequest | undefined;
  readonly #method: string;
  #controller: Dispatcher.DispatchController | undefined;
  #dispatchedAt = 0;
  /** Set before it is sent. */
  connection: Connection | undefined = undefined;
  #reused = false;
  #retries = 0;
  #gone = false;
  #answered = false;
  readonly #arrivals = new Arrivals((chunk) => this.#passOn(chunk));
  #stream = false;
  #rename: AnswerFilter | undefined;
  #filter: AnswerFilter | undefined;
  #meter: AnswerMeter | undefined;
  /** Of rounds that are over. */
  #tokens: TokenUsage | undefined;
  /** Stops a search whose client is gone. */
  #search: AbortController | undefined;
  /** The client has its end; what LM Studio still does does not matter. */
  #over = false;
  readonly #clock: TokenClock;
  /** Head and first chunks of an answer that may turn out to be an error in disguise, or all of one that is wanted whole. */
  #held: Held | undefined;

  constructor(
    upstream: Dispatcher,
    origin: string,
    up: UpstreamRequest,
    down: Downstream,
    work: AnswerWork,
    settle: (outcome: Outcome) => void,
  ) {
    this.#upstream = upstream;
    this.#origin = origin;
    this.#up = up;
    this.#method = up.method;
    this.#down = down;
    this.#work = work;
    this.#clock = new TokenClock(work.onGap);
    this.#settle = settle;
    // Wired before anything is sent, so that it also covers the wait for a connection and for the first byte.
    down.response.once("close", this.#onClose);
    down.response.on("drain", this.#onDrain);
  }

  dispatch(): void {
    // Nothing but the client limits how long a model may think: a long prompt takes minutes before the first byte.
    const options = { ...this.#up, headersTimeout: 0, bodyTimeout: 0 } as unknown as Dispatcher.DispatchOptions;
    if (this.#retries === 0) this.#dispatchedAt = performance.now();
    this.#upstream.dispatch(options, this);
  }

  readonly #onClose = () => {
    if (this.#down.response.writableFinished) return;
    this.#gone = true;
    this.#search?.abort();
    this.#controller?.abort(new Error("the client went away"));
  };

  readonly #onDrain = () => {
    this.#controller?.resume();
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#reused = this.connection?.carry() ?? false;
    if (this.#gone) controller.abort(new Error("the client went away"));
    else this.#down.startHeartbeats();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#answered = true;
    this.#up = undefined;
    this.#work.onAnswer?.(status);
    this.#rename = this.#work.rename?.();
    const told = responseHeaders(rawFields(controller.rawHeaders));
    const headers = this.#rename === undefined ? told : without(told, "content-length");
    // Views of what was read: they would keep it alive for as long as the stream.
    controller.rawHeaders = null;
    const type = fieldOf(headers, "content-type");
    const encoded = fieldOf(headers, "content-encoding");
    const readable = encoded === "" || encoded === "identity";
    const stream = type.startsWith("text/event-stream");
    if (stream && !this.#stream) this.#work.onStream?.(true);
    this.#stream ||= stream;
    const { meter, filter, transform, translator, instead, isDeclared } = this.#work;
    if (status === 200 && readable) this.#meter = meter?.(stream);
    if (stream && status === 200) {
      if (readable) this.#filter = chained(filter?.(), translator);
      // Whatever LM Studio promised: a heartbeat, a cut thought or a failure event changes the length.
      this.#down.writeHead(status, without(headers, "content-length"), true);
      return;
    }
    const json = type.startsWith("application/json") && readable && this.#method !== "HEAD";
    const telling = (status === 400 && instead !== undefined) || (status === 404 && isDeclared === true);
    const refused = readable && (translator === undefined ? telling : status >= 400);
    const changed = json && status === 200 && (transform !== undefined || translator !== undefined);
    const whole = this.#down.begun || refused || changed;
    if (whole || (json && status === 200)) {
      this.#held = new Held(status, headers, whole);
      return;
    }
    this.#down.writeHead(status, stream ? without(headers, "content-length") : headers, stream);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    this.#arrived(this.#rename === undefined ? chunk : this.#rename.push(chunk));
  }

  #arrived(chunk: Buffer): void {
    const held = this.#held;
    if (held === undefined) this.#arrivals.add(chunk, this.#stream);
    else if (!held.add(chunk)) this.#release(held);
  }

  #passOn(chunk: Buffer): void {
    if (this.#meter !== undefined) {
      this.#meter.observe(chunk);
      if (this.#stream) this.#clock.tell(this.#meter);
    }
    this.#write(this.#filter === undefined ? chunk : this.#filter.push(chunk));
    const fault = this.#work.translator?.fault;
    if (fault !== undefined) this.#fail(fault);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: Record<string, string | string[]>): void {
    const rest = this.#rename?.end();
    if (rest !== undefined && rest.length > 0 && !this.#over) this.#arrived(rest);
    this.#arrivals.flush();
    if (this.#over) return;
    this.#controller = undefined;
    const held = this.#held;
    if (held !== undefined) {
      const body = held.body();
      const up = held.status === 400 ? this.#work.instead?.(body) : undefined;
      if (up !== undefined) {
        this.#ask(up);
        return;
      }
      const fault = this.#releaseHeld(held, body);
      if (fault !== undefined) {
        this.#fail(fault);
        return;
      }
    }
    if (this.#filter !== undefined) this.#write(this.#filter.end());
    this.#end(trailers);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    this.#controller = undefined;
    if (this.#gone) {
      this.#finish("client-gone");
      return;
    }
    if (this.#mayRepeat(error)) {
      this.#retries++;
      this.dispatch();
      return;
    }
    this.#arrivals.flush();
    if (this.#over) return;
    const complete = this.#work.translator?.complete === true;
    if (this.#filter !== undefined) this.#write(this.#filter.end());
    // What breaks behind an answer's own end is nothing to the client.
    if (complete) this.#end({});
    else this.#fail(upstreamFault(error, this.#origin));
  }

  /** LM Studio has said everything. */
  #end(trailers: Readonly<Record<string, string | string[]>>): void {
    const { translator, rounds } = this.#work;
    const round = translator?.round;
    if (translator?.fault !== undefined) this.#fail(translator.fault);
    else if (translator !== undefined && round !== undefined) void this.#goOn(translator, round, rounds);
    else {
      this.#down.end(trailers);
      this.#finish("complete");
    }
  }

  /** The model searched the web: what is found goes up, and the same answer goes on. */
  async #goOn(translator: AnswerTranslator, round: Round, rounds: Rounds | undefined): Promise<void> {
    const document = this.#held;
    const search = new AbortController();
    this.#search = search;
    const settle = (id: string, status: "completed" | "failed") => {
      const said = translator.settle(id, status);
      if (document === undefined && !this.#gone) this.#write(said);
    };
    const up = await rounds?.next(round, settle, search.signal);
    this.#search = undefined;
    if (this.#gone) {
      this.#finish("client-gone");
      return;
    }
    if (up === undefined) {
      const rest = translator.finish(document !== undefined);
      if (document === undefined) this.#write(rest);
      else this.#writeWhole(document, rest, []);
      this.#end({});
      return;
    }
    const said = translator.nextRound();
    if (document === undefined) this.#write(said);
    this.#tokens = summedTokens(this.#tokens, this.#meter?.usage());
    this.#clock.startRound();
    this.#ask(up);
  }

  /** LM Studio once more, as if it had not answered. */
  #ask(up: UpstreamRequest): void {
    this.#meter = this.#filter = this.#held = undefined;
    this.#answered = false;
    this.#up = up;
    this.dispatch();
  }

  /** LM Studio closed the idle connection while the request was on its way: it has read nothing, and the client has seen nothing. */
  #mayRepeat(error: Error): boolean {
    const { code = "" } = error as NodeJS.ErrnoException;
    return (
      this.#reused &&
      this.#retries < mostRetries &&
      !this.#answered &&
      this.#up !== undefined &&
      isRepeatable(this.#up.body) &&
      reuseRace.has(code) &&
      performance.now() - this.#dispatchedAt < reuseRaceMs
    );
  }

  #release(held: Held): void {
    this.#held = undefined;
    this.#down.writeHead(held.status, held.headers, false);
    for (const chunk of held.chunks) {
      this.#meter?.observe(chunk);
      this.#write(chunk);
    }
  }

  /** All of an answer that was held is there: what is wrong with it, if anything is. */
  #releaseHeld(held: Held, body: Buffer): Fault | undefined {
    const { translator, isDeclared } = this.#work;
    const asStream = translator !== undefined && this.#down.wantsStream && held.status === 200;
    if (this.#down.begun && !asStream) return refusalAfterHead(held.status, body, isDeclared);
    if (held.status >= 400) {
      const { status } = held;
      const missing = isDeclared === true ? notLoadedFault(status, body) : undefined;
      const refusal = missing ?? (translator === undefined ? status : refusalFor(status, body, isDeclared));
      if (typeof refusal !== "number") return refusal;
      this.#writeWhole({ status: refusal, headers: held.headers }, body, []);
      this.#held = undefined;
      return undefined;
    }
    const words = errorInstead(body);
    if (words !== undefined) return errorInSuccess(words);
    if (!held.whole) {
      this.#release(held);
      return undefined;
    }
    this.#meter?.observe(body);
    const changed = this.#work.transform?.(body) ?? { body };
    if (asStream) {
      const events = translator.streamed(changed.body);
      if (events === undefined) return unstreamed();
      this.#held = undefined;
      this.#down.writeHead(200, [...without(held.headers, "content-length", "content-type"), ...streamType], true);
      this.#write(events);
      return undefined;
    }
    const told = translator === undefined ? changed.body : translator.whole(changed.body);
    if (translator?.fault !== undefined || translator?.round !== undefined) return undefined;
    this.#held = undefined;
    if (told === body && this.#rename === undefined) {
      this.#down.writeHead(held.status, held.headers, false);
      this.#write(body);
    } else this.#writeWhole(held, told, changed.headers ?? []);
    return undefined;
  }

  #writeWhole(held: Pick<Held, "status" | "headers">, body: Buffer, extra: FlatHeaders): void {
    const repairs = [...(this.#work.translator?.repairs.keys() ?? [])];
    const repaired = repairs.length === 0 ? [] : ["x-lmstack-repaired", repairs.join(", ")];
    const length = ["content-length", String(body.length)];
    this.#down.writeHead(
      held.status,
      [...without(held.headers, "content-length"), ...length, ...extra, ...repaired],
      false,
    );
    this.#write(body);
  }

  #write(chunk: Buffer): void {
    if (!this.#down.write(chunk)) this.#controller?.pause();
  }

  #fail(fault: Fault): void {
    this.#held = undefined;
    this.#down.fail(fault);
    this.#finish("failed", fault);
    // By its own word LM Studio may have failed without having ended.
    this.#controller?.abort(fault);
  }

  #finish(kind: Outcome["kind"], fault?: Fault): void {
    this.#over = true;
    this.#arrivals.forget();
    this.#down.response.off("close", this.#onClose);
    this.#down.response.off("drain", this.#onDrain);
    this.#down.close();
    if (this.#stream) this.#work.onStream?.(false);
    this.#settle({
      kind,
      ...(fault === undefined ? {} : { fault }),
      firstTokenAt: this.#clock.firstTokenAt,
      tokens: summedTokens(this.#tokens, this.#meter?.usage()),
      stream: this.#stream,
      retried: this.#retries > 0,
    });
  }
}

function isRepeatable(body: UpstreamRequest["body"]): boolean {
  return body === null || Array.isArray(body) || Buffer.isBuffer(body);
}
