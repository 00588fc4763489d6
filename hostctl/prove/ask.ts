import { request } from "node:http";
import { StringDecoder } from "node:string_decoder";
import type { Ask } from "../../infra/spec/proof/ask.ts";
import type { Chunk } from "../../infra/spec/proof/dialect.ts";
import type { Where } from "../http.ts";

/** Asks over a socket of this host, and keeps when each piece of the answer came. `more` are header fields. `signal` ends it early. */
export const askAt =
  (where: Where, more: Readonly<Record<string, string>>, signal?: AbortSignal): Ask =>
  (path, body, withinMs) => {
    const text = body === null ? "" : JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)), ...more };
    const limit = AbortSignal.timeout(Math.ceil(withinMs));
    const ends = signal === undefined ? limit : AbortSignal.any([limit, signal]);
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const fail = (error: Error) =>
        reject(limit.aborted ? new Error(`not within ${Math.round(withinMs / 1000)} s`, { cause: error }) : error);
      const options = { ...where, method: body === null ? "GET" : "POST", path, headers, agent: false, signal: ends };
      const outgoing = request(options, (response) => {
        const chunks: Chunk[] = [];
        const decoder = new StringDecoder("utf8");
        response.on("data", (bytes: Buffer) =>
          chunks.push({ ms: performance.now() - started, text: decoder.write(bytes) }),
        );
        response.on("error", fail);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, chunks }));
      });
      outgoing.on("error", fail);
      outgoing.end(text);
    });
  };
