/** The HTTP server behind the front door: its limits, and what is answered to bytes that are no request. */
import http from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { answerFault } from "./errors/answer.ts";
import { faultBody } from "./errors/dialect.ts";
import { Fault } from "./errors/fault.ts";
import type { Handler } from "./gateway.ts";

const keepAliveMilliseconds = 75_000;

export function createHttpServer(limits: ProxyConfig["limits"], log: Logger) {
  const headersTimeout = limits.headerSeconds * 1_000;
  const server = http.createServer({
    keepAliveTimeout: keepAliveMilliseconds,
    maxHeaderSize: limits.headerBytes,
    headersTimeout,
    // A body's silence is timed where it is read; how long a whole one takes is the client's own affair.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.max(50, Math.min(headersTimeout / 4, 5_000)),
    // Asked for in `relay/head.ts`, which says so in words.
    requireHostHeader: false,
  });
  // The size is limited; a count would drop fields in silence.
  server.maxHeadersCount = 0;
  // Node times slow heads only in a server that listens itself; this one is handed its connections.
  server.emit("listening");
  const answers = new WeakMap<Duplex, http.ServerResponse>();
  const doomed = new WeakSet<Duplex>();
  const remember = (request: http.IncomingMessage, response: http.ServerResponse) => {
    answers.set(request.socket, response);
  };
  server.on("request", remember).on("checkContinue", remember);
  server.on("checkExpectation", (request: http.IncomingMessage, response: http.ServerResponse) => {
    response.shouldKeepAlive = false;
    answerFault(request, response, expectationFault(request.headers.expect ?? ""), "chat");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const fault = malformed(error, limits);
    const answer = answers.get(socket);
    if (fault === undefined || !socket.writable || (answer?.writableEnded && !answer.shouldKeepAlive)) {
      socket.destroy();
    } else if (answer !== undefined && !answer.writableFinished && (answer.req.complete || answer.headersSent)) {
      // The request before has its answer, or is owed one; what came behind it is lost with the connection.
      if (doomed.has(socket)) return;
      // The client is gone in the middle of its body: what it was answered so far is on its way, and nobody waits for the rest.
      if (error.code === "HPE_INVALID_EOF_STATE" && !answer.req.complete) {
        (socket as Socket).destroySoon();
        return;
      }
      doomed.add(socket);
      answer.shouldKeepAlive = false;
      answer.once("close", () => socket.destroy());
    } else {
      log.debug({ code: fault.code, reason: error.code }, "bytes that are no request");
      const body = faultBody(fault, "chat");
      const head = `HTTP/1.1 ${fault.status} ${http.STATUS_CODES[fault.status]}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
      socket.end(head + body, () => socket.destroy());
    }
  });
  return server;
}

function expectationFault(expectation: string): Fault {
  return new Fault(
    417,
    "malformed_request",
    `The request expects ${JSON.stringify(expectation.slice(0, 40))}. Only "100-continue" can be expected here.`,
  );
}

/** `Expect: 100-continue` is answered once the request's head was found good, and its body is wanted. */
export function serveWith(server: http.Server, handler: Handler): void {
  server.on("request", handler);
  server.on("checkContinue", handler);
}

/** Undefined where nobody is left to be told. */
function malformed({ code = "" }: NodeJS.ErrnoException, limits: ProxyConfig["limits"]): Fault | undefined {
  if (code === "ECONNRESET" || code === "EPIPE") return undefined;
  if (code === "HPE_HEADER_OVERFLOW") {
    return new Fault(
      431,
      "headers_too_large",
      `The header fields are larger than ${limits.headerBytes} bytes. Send less, or raise limits.headerBytes in the proxy's configuration.`,
    );
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new Fault(
      408,
      "request_too_slow",
      `The head of the request was not complete within ${limits.headerSeconds} s. Send it in one piece, or raise limits.headerSeconds in the proxy's configuration.`,
    );
  }
  return new Fault(
    400,
    "malformed_request",
    `These bytes are not an HTTP/1.1 request (${code || "parse error"}). Send one over plain HTTP; TLS ends at a proxy in front of this one.`,
  );
}
