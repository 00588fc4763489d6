/** The status page at `/` and the stream that keeps it up to date at `/-/live`. Costs nothing while nobody looks. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { answerFault } from "../errors/answer.ts";
import { Fault } from "../errors/fault.ts";
import { originOf } from "./codex-lines.ts";
import { contentSecurityPolicy, type Fragments, fragments, pageMark, renderPage } from "./render.ts";
import type { PageSources } from "./sources.ts";

const mostViewers = 32;
const lookMilliseconds = 3_000;
/** No viewer is sent more than one event in this time. */
const leastGapMilliseconds = 1_000;
/** Changes come in flocks: a slot is free before its request has been counted. */
const gatherMilliseconds = 100;
/** How long a page waits for LM Studio's word; afterwards the stream brings it. */
const patienceMilliseconds = 500;
/** Looks at which a viewer had still not taken the event before. */
const mostSkipped = 20;
const retryMilliseconds = 2_000;

const headers = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": contentSecurityPolicy,
};

interface Viewer {
  readonly response: ServerResponse;
  readonly origin: string;
  /** What the viewer has; an empty one has nothing. */
  has: Partial<Fragments>;
  skipped: number;
}

export class StatusPage {
  readonly #sources: PageSources;
  readonly #viewers = new Set<Viewer>();
  #closed = false;
  #ignoreChanges: (() => void) | undefined;
  #looking: NodeJS.Timeout | undefined;
  #sending: NodeJS.Timeout | undefined;
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(sources: PageSources) {
    this.#sources = sources;
  }

  /** `GET /`. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const patience = new AbortController();
    const { signal } = patience;
    await Promise.race([this.#sources.look(), pause(patienceMilliseconds, undefined, { signal }).catch(() => {})]);
    patience.abort();
    if (response.destroyed) return;
    const body = renderPage(this.#sources.snapshot(), originOf(request));
    response.writeHead(200, {
      ...headers,
      "content-type": "text/html; charset=utf-8",
      "content-length": Buffer.byteLength(body),
    });
    response.end(body);
  }

  /** `GET /-/live`: an event stream. Each event has the fragments that are new to this viewer. */
  live(request: IncomingMessage, response: ServerResponse): void {
    // Whoever left while its key was looked at would never be seen to leave.
    if (response.destroyed) return;
    if (this.#closed || this.#viewers.size >= mostViewers) {
      answerFault(request, response, this.#closed ? endingFault() : crowdedFault(), "chat");
      return;
    }
    response.writeHead(200, { ...headers, "content-type": "text/event-stream; charset=utf-8" });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const viewer: Viewer = { response, origin: originOf(request), has: {}, skipped: 0 };
    this.#viewers.add(viewer);
    response.once("close", () => this.#leave(viewer));
    response.write(`retry: ${retryMilliseconds}\n\n`);
    this.#send([viewer]);
    if (this.#viewers.size === 1) this.#begin();
  }

  /** Ends every stream; what comes later is refused. Call it before the connections are drained. */
  close(): void {
    this.#closed = true;
    this.#rest();
    for (const { response } of this.#viewers) response.end();
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0) this.#rest();
  }

  #begin(): void {
    this.#ignoreChanges = this.#sources.onChange(() => this.#sendSoon());
    void this.#look();
  }

  #rest(): void {
    this.#ignoreChanges?.();
    this.#ignoreChanges = undefined;
    clearTimeout(this.#looking);
    clearTimeout(this.#sending);
    this.#sending = undefined;
  }

  /** Again and again while somebody is there; the viewers hear something each time, which tells them that the proxy is alive. */
  async #look(): Promise<void> {
    const mine = this.#ignoreChanges;
    await this.#sources.look();
    // Everybody has left meanwhile, and perhaps somebody else has come, for whom another look began.
    if (mine === undefined || mine !== this.#ignoreChanges) return;
    this.#sendSoon();
    this.#looking = setTimeout(() => void this.#look(), lookMilliseconds).unref();
  }

  #sendSoon(): void {
    if (this.#sending !== undefined) return;
    const rest = this.#sentAt + leastGapMilliseconds - performance.now();
    this.#sending = setTimeout(
      () => {
        this.#sending = undefined;
        this.#sentAt = performance.now();
        this.#send(this.#viewers);
      },
      Math.max(gatherMilliseconds, rest),
    ).unref();
  }

  #send(viewers: Iterable<Viewer>): void {
    const snapshot = this.#sources.snapshot();
    const rendered = new Map<string, Fragments>();
    for (const viewer of viewers) {
      const { response, origin } = viewer;
      if (response.writableNeedDrain) {
        // What it missed is in the next event that it can take.
        if (++viewer.skipped >= mostSkipped) response.destroy();
        continue;
      }
      viewer.skipped = 0;
      const all = rendered.get(origin) ?? fragments(snapshot, origin);
      rendered.set(origin, all);
      const parts = news(viewer.has, all);
      viewer.has = all;
      response.write(parts === undefined ? ":\n\n" : `data: ${JSON.stringify({ page: pageMark, parts })}\n\n`);
    }
  }
}

function news(old: Partial<Fragments>, now: Fragments): Partial<Fragments> | undefined {
  const entries = Object.entries(now).filter(([id, text]) => old[id as keyof Fragments] !== text);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

const crowdedFault = () =>
  new Fault(
    503,
    "too_many_viewers",
    `${mostViewers} browsers look at this status page already. Close one of them; this one tries again by itself.`,
    { retryAfter: 5 },
  );

const endingFault = () =>
  new Fault(503, "too_many_viewers", "This process is ending. Its successor has the status page.", { retryAfter: 2 });
