/** One request from its head to its end: who may, where to, what is changed on the way, and one line in the log. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Dispatcher } from "undici";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { rewriteForLmStudio } from "./codex/rewrite.ts";
import { answerFault, answerJson } from "./errors/answer.ts";
import { Fault } from "./errors/fault.ts";
import { type Caller, gatekeeper, keyHeaders, localAdmin, modelFault } from "./keys.ts";
import { ClientGone, collectBody, hasBody } from "./relay/body.ts";
import { type Outcome, relay } from "./relay/exchange.ts";
import { requestHeaders } from "./relay/headers.ts";
import { dialectOf, type Route, routeOf } from "./routes.ts";
import { JsonBody } from "./splice/body.ts";
import { applyEdits, type Edit } from "./splice/edit.ts";
import { ScanFault } from "./splice/scan.ts";
import { strategyFor, thinkingFor } from "./thinking/policy.ts";
import { thinkingEdits } from "./thinking/rules.ts";
import { Catalog } from "./upstream/catalog.ts";
import { readiness } from "./upstream/readiness.ts";

export interface GatewayParts {
  readonly config: ProxyConfig;
  readonly upstream: Dispatcher;
  readonly log: Logger;
  readonly isDraining: () => boolean;
  /** Whether a request came in by the admin socket, whose file permissions stand for a key. */
  readonly isAdmin: (request: IncomingMessage) => boolean;
}

interface Prepared {
  readonly body: Iterable<Buffer> | AsyncIterable<Buffer> | null;
  /** Length of a body that was collected; undefined when it streams with the client's own framing. */
  readonly length?: number;
  readonly model?: string | undefined;
  readonly rewritten: readonly string[];
  readonly droppedTools: readonly string[];
}

const nothing: Prepared = { body: null, rewritten: [], droppedTools: [] };
const contentLength: ReadonlySet<string> = new Set(["content-length"]);
/** Longest value of a header that lists names. */
const headerLength = 1_000;

export function createGateway(parts: GatewayParts): (request: IncomingMessage, response: ServerResponse) => void {
  const { config, upstream, log } = parts;
  const origin = new URL(config.upstream).origin;
  const catalog = new Catalog(upstream);
  const admit = gatekeeper(config.keys);
  const leftOut = config.keys.length > 0 ? keyHeaders : new Set<string>();

  return (request, response) => {
    const started = performance.now();
    const requestId = randomUUID();
    const target = targetOf(request);
    const path = target.split("?", 1)[0] as string;
    if (parts.isDraining()) response.shouldKeepAlive = false;
    const entry: Record<string, unknown> = { requestId, method: request.method, path };
    void serve()
      .catch((error: unknown): Outcome => {
        if (error instanceof ClientGone) return { kind: "client-gone" };
        const fault = error instanceof Fault ? error : internalFault(error, requestId);
        if (fault.code === "internal_error") log.error({ requestId, err: error }, "a request failed inside the proxy");
        if (response.headersSent) response.destroy();
        else answerFault(request, response, fault, dialectOf(path));
        return { kind: "failed", fault };
      })
      .then((outcome) => {
        entry.outcome = outcome.kind;
        entry.status = response.headersSent ? response.statusCode : undefined;
        entry.ms = Math.round(performance.now() - started);
        if (outcome.kind === "failed")
          log.warn({ ...entry, code: outcome.fault.code, reason: outcome.fault.message }, "request");
        else log[isProbe(path) ? "debug" : "info"](entry, "request");
      });

    async function serve(): Promise<Outcome> {
      if (isProbe(path)) return await answerProbe();
      const route = routeOf(request.method ?? "GET", path);
      if (request.headers.upgrade?.toLowerCase().includes("websocket")) throw websocketFault(path);
      const caller = parts.isAdmin(request) ? localAdmin : admit(request.headers);
      if (caller instanceof Fault) throw caller;
      entry.key = caller.id;
      if (route instanceof Fault) throw route;
      const prepared = await prepare(route, caller);
      entry.model = prepared.model;
      if (prepared.rewritten.length > 0) entry.rewritten = prepared.rewritten;
      const without = prepared.length === undefined ? leftOut : new Set([...leftOut, ...contentLength]);
      const headers = requestHeaders(request.rawHeaders, without);
      if (prepared.length !== undefined) headers.push("content-length", String(prepared.length));
      const extraHeaders = ["x-lmstack-request-id", requestId];
      if (prepared.droppedTools.length > 0)
        extraHeaders.push("x-lmstack-dropped-tools", headerList(prepared.droppedTools));
      const up = { method: request.method ?? "GET", path: target, headers, body: prepared.body };
      return await relay(upstream, origin, up, { request, response, dialect: route.dialect, requestId, extraHeaders });
    }

    async function answerProbe(): Promise<Outcome> {
      const draining = parts.isDraining();
      const state =
        path === "/healthz"
          ? { status: draining ? "draining" : "ok" }
          : await readiness(config, () => catalog.loaded(), draining);
      answerJson(request, response, "ready" in state && !state.ready ? 503 : 200, JSON.stringify(state));
      return { kind: "complete" };
    }

    async function prepare(route: Route, caller: Caller): Promise<Prepared> {
      const rewrites = route.endpoint !== undefined && request.method === "POST";
      if (!rewrites && (caller.unrestricted || request.method !== "POST")) {
        // A body that is left unread on purpose must not close the client's connection.
        return hasBody(request) ? { ...nothing, body: request.iterator({ destroyOnReturn: false }) } : nothing;
      }
      const encoding = request.headers["content-encoding"];
      if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
        throw new Fault(
          415,
          "unsupported_encoding",
          `The body is encoded as "${encoding}", which the proxy does not read. Send it without content-encoding.`,
        );
      }
      const bytes = await collectBody(request, config.limits.bodyBytes);
      const body = new JsonBody(bytes);
      const model = body.text("model");
      if (!caller.unrestricted) {
        const fault = modelFault(caller, model ?? "");
        if (fault !== undefined) throw fault;
      }
      return { ...(await rewrite(route, body, model)), model };
    }

    async function rewrite(route: Route, body: JsonBody, model: string | undefined): Promise<Prepared> {
      const edits: Edit[] = body.byteOrderMark ? [{ start: 0, end: 3, text: "" }] : [];
      const rewritten: string[] = [];
      let droppedTools: readonly string[] = [];
      if (route.endpoint !== undefined) {
        const thinking = thinkingFor(config.models, model);
        const asks =
          thinking === "off" &&
          (route.endpoint === "native-chat" || (route.endpoint === "chat" && config.noThink === "auto"));
        const options = asks ? await catalog.reasoning(model) : undefined;
        const strategy = strategyFor(config.noThink, options);
        const found = thinkingEdits(body, { endpoint: route.endpoint, thinking, strategy, options });
        if (found.length > 0) rewritten.push(`thinking-${thinking}`);
        edits.push(...found);
      }
      if (route.endpoint === "responses" && config.codexTools === "translate") {
        const codex = rewriteForLmStudio(body);
        edits.push(...codex.edits);
        rewritten.push(...codex.applied);
        droppedTools = codex.notes.droppedTools;
      }
      if (response.destroyed) throw new ClientGone("the client went away before its request was passed on");
      const chunks = edits.length === 0 ? [body.bytes] : applyEdits(body.bytes, edits);
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      return { body: chunks, length, rewritten, droppedTools };
    }
  };
}

/** Asked every few seconds by machines, without a key. */
function isProbe(path: string): boolean {
  return path === "/healthz" || path === "/readyz";
}

/** Path and query; a client that takes the proxy for a forward proxy sends a whole URL. */
function targetOf(request: IncomingMessage): string {
  const raw = request.url ?? "/";
  if (raw.startsWith("/")) return raw;
  const url = URL.parse(raw);
  return url === null ? raw : url.pathname + url.search;
}

function internalFault(error: unknown, requestId: string): Fault {
  if (error instanceof ScanFault || error instanceof SyntaxError) {
    return new Fault(
      400,
      "invalid_json",
      `The request body is not valid JSON: ${error.message}. Send one JSON object.`,
    );
  }
  return new Fault(
    500,
    "internal_error",
    `The proxy failed on this request; its log has the reason under ${requestId}.`,
    {
      cause: error,
    },
  );
}

function websocketFault(path: string): Fault {
  return new Fault(
    426,
    "websocket_not_supported",
    `${path} is served over plain HTTP only; WebSocket is closed. Send the request as HTTP/1.1.`,
  );
}

/** Names come from a request: only what a header can carry is printed. */
function headerList(names: readonly string[]): string {
  return names
    .join(", ")
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, headerLength);
}
