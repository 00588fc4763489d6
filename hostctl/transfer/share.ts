/**
 * Serves verified files by their sha256 to other hosts of the fleet, read-only, to whoever has the key: `GET /sha256/DIGEST` with ranges, and
 * `GET /sha256/DIGEST/pieces` for the list of its pieces.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readJson } from "../atomic-file.ts";
import { recordedSha256 } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { listPieces, type PieceList } from "./pieces.ts";

export interface ShareDocument {
  readonly host: string;
  /** The first that is tried. */
  readonly port: number;
  /** How many are tried, from that one on; one when absent. */
  readonly ports?: number;
  /** Of the key that is asked for; the key itself never comes here. */
  readonly keySha256: string;
  /** The files that may be asked for; every verified one when absent. */
  readonly only?: readonly string[];
  /** Ends by itself when nobody has asked for so long; when absent it does not. */
  readonly idleSeconds?: number;
}

/** More would only make each of them slower. */
const connectionLimit = 32;

async function openShare(host: Host, document: ShareDocument, onRequest: (over: Promise<unknown>) => void) {
  const lists = new Map<string, Promise<PieceList>>();
  const server = createServer((request, response) => {
    onRequest(new Promise((resolve) => response.once("close", resolve)));
    answer(host, document, lists, request, response).catch(() => response.destroy());
  });
  server.maxConnections = connectionLimit;
  const { host: address, port, ports = 1 } = document;
  for (let next = port; ; next++) {
    try {
      server.listen(next, address);
      await once(server, "listening");
      return server;
    } catch (error) {
      if (errno(error) === "EADDRINUSE" && next + 1 < port + ports) continue;
      const tried = ports === 1 ? `port ${port}` : `ports ${port} to ${next}`;
      throw new HostFailure(
        "port_in_use",
        `files cannot be shared at ${tried} of ${address}: ${errno(error)}`,
        "free one of them on this host",
        error,
      );
    }
  }
}

/** The verb: serves until it is ended, or until nobody has asked for a while. */
export async function share(host: Host, document: ShareDocument, onOpen: (port: number) => void): Promise<void> {
  const { idleSeconds } = document;
  let running = 0;
  let end = () => {};
  let timer: NodeJS.Timeout | undefined;
  const rest = () => {
    if (idleSeconds !== undefined && running === 0) timer = setTimeout(() => end(), idleSeconds * 1000);
  };
  const server = await openShare(host, document, (over) => {
    clearTimeout(timer);
    running++;
    void over.then(() => {
      running--;
      rest();
    });
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : document.port;
  host.say(`sharing verified files on port ${port}`);
  onOpen(port);
  await new Promise<void>((resolve) => {
    end = resolve;
    rest();
  });
  server.close();
}

async function answer(
  host: Host,
  { keySha256, only }: ShareDocument,
  lists: Map<string, Promise<PieceList>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, headers: Record<string, string | number> = {}) =>
    response.writeHead(status, { "content-length": 0, ...headers }).end();
  const key = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const digest = createHash("sha256").update(key).digest();
  if (!timingSafeEqual(digest, Buffer.from(keySha256, "hex"))) return void say(401);
  if (request.method !== "GET") return void say(405, { allow: "GET" });
  const asked = /^\/sha256\/([0-9a-f]{64})(\/pieces)?$/.exec(request.url ?? "");
  const sha256 = asked?.[1];
  const file = sha256 === undefined || only?.includes(sha256) === false ? null : await verifiedFile(host, sha256);
  if (sha256 === undefined || file === null) return void say(404);
  if (asked?.[2] !== undefined) {
    // Read once: the digest stands for the content.
    const list = lists.get(sha256) ?? listPieces(file);
    lists.set(sha256, list);
    const text = JSON.stringify(
      await list.catch((error: unknown) => {
        lists.delete(sha256);
        throw error;
      }),
    );
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
    return;
  }
  const { size } = await stat(file);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1);
  if (start > end) return void say(416, { "content-range": `bytes */${size}` });
  const partial = range === null ? {} : { "content-range": `bytes ${start}-${end}/${size}` };
  const headers = { etag: `"${sha256}"`, "accept-ranges": "bytes", "content-length": end - start + 1, ...partial };
  response.writeHead(range === null ? 200 : 206, headers);
  await pipeline(createReadStream(file, { start, end }), response);
}

/** By the records of what was verified: also a person's own file, as long as nobody touched it since. */
async function verifiedFile(host: Host, sha256: string): Promise<string | null> {
  for (const name of await readdir(host.paths.verified).catch(() => [])) {
    const record = await readJson<{ path?: string; sha256?: string }>(join(host.paths.verified, name));
    if (record?.sha256 !== sha256 || record.path === undefined) continue;
    if ((await recordedSha256(host, record.path)) === sha256) return record.path;
  }
  return null;
}
