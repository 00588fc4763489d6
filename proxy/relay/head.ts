import type { IncomingMessage } from "node:http";
import { Fault } from "../errors/fault.ts";

/**
 * What is wrong with a request's head that Node lets pass: other versions of HTTP, and a host that is said twice or not at all (RFC 9112 section
 * 3.2), which two servers in a row may understand differently. Undefined when nothing is.
 */
export function headFault(request: IncomingMessage): Fault | undefined {
  const { httpVersion, rawHeaders } = request;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    return new Fault(
      505,
      "malformed_request",
      `HTTP/${httpVersion} is not served here. Send HTTP/1.1; a reverse proxy in front of this one may speak other versions.`,
    );
  }
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (hosts === 1 || (hosts === 0 && httpVersion === "1.0")) return undefined;
  return new Fault(400, "malformed_request", `The request has ${hosts} Host fields. Send exactly one.`);
}

/** Path and query; a client that takes the proxy for a forward proxy sends a whole URL. */
export function targetOf(request: IncomingMessage): string {
  const raw = request.url ?? "/";
  if (raw.startsWith("/")) return raw;
  const url = URL.parse(raw);
  return url === null ? raw : url.pathname + url.search;
}
