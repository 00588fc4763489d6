import type { IncomingMessage, ServerResponse } from "node:http";
import { hasUnreadBody } from "../relay/body.ts";
import { type Dialect, faultBody } from "./dialect.ts";
import type { Fault } from "./fault.ts";

/** Milliseconds that a client gets to finish sending a body nobody wants, so that the reset does not overtake the answer. */
const lingerMilliseconds = 500;

/** Answers with the fault alone. Only for a response whose head is not sent yet. */
export function answerFault(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
  dialect: Dialect,
  extra: readonly string[] = [],
): void {
  const headers: Record<string, string> = {};
  if (fault.retryAfter !== undefined) headers["retry-after"] = String(fault.retryAfter);
  if (fault.status === 401 && !response.hasHeader("www-authenticate"))
    headers["www-authenticate"] = 'Bearer realm="lmstack"';
  if (fault.status === 426) headers.upgrade = "HTTP/1.1";
  for (const list of [fault.headers, extra]) {
    for (let i = 0; i + 1 < list.length; i += 2) headers[list[i] as string] = list[i + 1] as string;
  }
  answerJson(request, response, fault.status, faultBody(fault, dialect), headers);
}

export function answerJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed) return;
  const unread = hasUnreadBody(request);
  // The rest of a body that was not read to its end would be taken for the next request.
  if (unread) response.shouldKeepAlive = false;
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  if (!unread) {
    response.end(body);
    return;
  }
  response.write(body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, lingerMilliseconds);
  request.once("end", end).once("close", end).resume();
}
