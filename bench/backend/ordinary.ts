/** The stand-in as most servers of this kind are made, LM Studio's among them: on Node's own HTTP server. */
import http from "node:http";
import { microseconds } from "../wire/clock.ts";
import { jsonType, lastEvents, streamFields, wholeAnswer } from "./answers.ts";
import { type Serving, writeTokens } from "./serving.ts";

export function ordinaryServer(serving: Serving): http.Server {
  const server = http.createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0 }, (request, response) => {
    const { method = "GET", url = "/" } = request;
    const id = serving.mode.watch ? String(request.headers["x-bench-id"] ?? "") : "";
    const body: Buffer[] = [];
    request.on("data", (bytes: Buffer) => body.push(bytes));
    request.on("end", () => {
      // Whoever works on a request has to have it in one piece.
      Buffer.concat(body);
      if (id !== "") serving.tell({ arrived: id, at: microseconds() });
      const answer = wholeAnswer(method, url);
      const whole = () => {
        serving.waiting.delete(id);
        if (answer === undefined) response.writeHead(404).end();
        else
          response.writeHead(200, { "content-type": jsonType, "content-length": answer.length }).end(answer, "latin1");
      };
      const { mode } = serving;
      if (id !== "") {
        response.on("close", () => {
          if (response.writableFinished) return;
          serving.waiting.delete(id);
          serving.tell({ closed: id, at: microseconds() });
        });
      }
      if (mode.tokens === 0 || method === "GET") whole();
      else if (mode.tokens < 0) serving.waiting.set(id, whole);
      else {
        response.writeHead(200, streamFields);
        writeTokens(
          response,
          mode,
          (text) => text,
          () => response.end(lastEvents, "latin1"),
        );
      }
    });
  });
  server.maxRequestsPerSocket = 0;
  return server;
}
