/** Web pages of other origins: shut out unless the configuration names them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Outcome } from "../relay/work.ts";

const day = "86400";
/** Fields that a page's script may read besides the ones that it always may. */
const exposed =
  "x-lmstack-request-id, x-lmstack-rewritten, x-lmstack-dropped-tools, x-lmstack-leaks, x-lmstack-no-think, x-lmstack-queued-ms, retry-after";

export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === "OPTIONS" && headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
}

/** Names the caller's own origin, never `*`: an answer behind a key must not be everybody's. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): boolean {
  const { origin } = request.headers;
  response.appendHeader("vary", "origin");
  if (origin === undefined || !(origins.includes("*") || origins.includes(origin))) return false;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", exposed);
  return true;
}

/** A preflight carries no key, so it is answered before one is asked for. */
export function answerPreflight(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): Outcome {
  if (allowOrigin(request, response, origins)) {
    response.setHeader("access-control-allow-methods", "GET, HEAD, POST");
    response.setHeader("access-control-max-age", day);
    const asked = request.headers["access-control-request-headers"];
    if (asked !== undefined) response.setHeader("access-control-allow-headers", asked);
  }
  response.writeHead(204).end();
  return { kind: "complete", stream: false, retried: false };
}
