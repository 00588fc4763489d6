/**
 * Serves verified files by their sha256 to other hosts of the fleet, read-only, to whoever has the key: `GET /sha256/DIGEST` with ranges, and
 * `GET /sha256/DIGEST/pieces` for the list of its pieces. Of a file that is on its way here, those pieces that have come.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readJson } from "../atomic-file.ts";
import { recordedSha256 } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { pause } from "../pause.ts";
import { Pace } from "./pace.ts";
import { type Arriving, listPieces, type PieceList, pieceBytes, pieceRange } from "./pieces.ts";

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
  /** Most that is sent, to all together. */
  readonly bytesPerSecond?: number;
}

/** More would only make each of them slower. */
const connectionLimit = 32;
/** Whoever asks for a piece that has not come waits for it here, and well within its own patience. */
const holdMs = 20_000;

interface Shared {
  readonly host: Host;
  readonly document: ShareDocument;
  /** By sha256. */
  readonly arriving: ReadonlyMap<string, Arriving>;
  readonly lists: Map<string, Promise<PieceList>>;
  readonly pace: Pace | null;
}

interface Found {
  readonly file: FileHandle;
  /** Not all of it is there yet. */
  readonly arriving: Arriving | undefined;
}

/** @throws HostFailure `port_in_use` */
export async function openShare(
  host: Host,
  document: ShareDocument,
  arriving: ReadonlyMap<string, Arriving> = new Map(),
): Promise<Server> {
  const { bytesPerSecond } = document;
  const pace = bytesPerSecond === undefined ? null : new Pace(bytesPerSecond);
  const shared: Shared = { host, document, arriving, lists: new Map(), pace };
  const server = createServer((request, response) => {
    answer(shared, request, response).catch(() => response.destroy());
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

/** The verb: serves until it is ended. */
export async function share(host: Host, document: ShareDocument, onOpen: (port: number) => void): Promise<void> {
  const server = await openShare(host, document);
  host.say(`sharing verified files on port ${portOf(server)}`);
  onOpen(portOf(server));
  await once(server, "close");
}

export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function answer(shared: Shared, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { keySha256, only } = shared.document;
  const say = (status: number, headers: Record<string, string | number> = {}) =>
    response.writeHead(status, { "content-length": 0, ...headers }).end();
  const key = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const digest = createHash("sha256").update(key).digest();
  if (!timingSafeEqual(digest, Buffer.from(keySha256, "hex"))) return void say(401);
  if (request.method !== "GET") return void say(405, { allow: "GET" });
  const asked = /^\/sha256\/([0-9a-f]{64})(\/pieces)?$/.exec(request.url ?? "");
  const sha256 = asked?.[1];
  if (sha256 === undefined || only?.includes(sha256) === false) return void say(404);
  if (asked?.[2] !== undefined) {
    const path = await verifiedFile(shared.host, sha256);
    if (path === null) return void say(404);
    const text = JSON.stringify(await listOf(shared, sha256, path));
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      .end(text);
    return;
  }
  const patience = AbortSignal.timeout(holdMs);
  const found = await find(shared, sha256, patience);
  if (found === null) return void say(404);
  await using file = found.file;
  const size = found.arriving?.list.size ?? (await file.stat()).size;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1);
  if (start > end) return void say(416, { "content-range": `bytes */${size}` });
  if (found.arriving && !(await hasCome(found.arriving, start, end, patience)))
    return void say(503, { "retry-after": 1 });
  const partial = range === null ? {} : { "content-range": `bytes ${start}-${end}/${size}` };
  const headers = { etag: `"${sha256}"`, "accept-ranges": "bytes", "content-length": end - start + 1, ...partial };
  response.writeHead(range === null ? 200 : 206, headers);
  await pipeline(file.createReadStream({ start, end }), (chunks) => paced(chunks, shared.pace), response);
}

/** A file that is named in `only` may be about to come, and one that has come is between two names for a moment. */
async function find(
  { host, document, arriving }: Shared,
  sha256: string,
  patience: AbortSignal,
): Promise<Found | null> {
  for (;;) {
    const coming = arriving.get(sha256);
    const path = coming?.path ?? (await verifiedFile(host, sha256));
    const file = path === null ? null : await open(path).catch(() => null);
    if (file !== null) return { file, arriving: coming };
    if (document.only === undefined || patience.aborted) return null;
    await pause(50);
  }
}

/** Read once: the digest stands for the content. */
function listOf({ lists }: Shared, sha256: string, file: string): Promise<PieceList> {
  const list = lists.get(sha256) ?? listPieces(file);
  lists.set(sha256, list);
  list.catch(() => lists.delete(sha256));
  return list;
}

/** Only one piece at a time is to be had of such a file. */
async function hasCome(arriving: Arriving, start: number, end: number, patience: AbortSignal): Promise<boolean> {
  const index = Math.floor(start / pieceBytes);
  const piece = pieceRange(arriving.list, index);
  return end < piece.start + piece.length && (await arriving.has(index, patience));
}

async function* paced(chunks: AsyncIterable<Buffer>, pace: Pace | null): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    const waitMs = pace?.after(chunk.length, performance.now()) ?? 0;
    if (waitMs > 5) await pause(waitMs);
    yield chunk;
  }
}

/** By the records of what was verified: also a person's own file, as long as nobody touched it since. */
export async function verifiedFile(host: Host, sha256: string): Promise<string | null> {
  for (const name of await readdir(host.paths.verified).catch(() => [])) {
    const record = await readJson<{ path?: string; sha256?: string }>(join(host.paths.verified, name));
    if (record?.sha256 !== sha256 || record.path === undefined) continue;
    if ((await recordedSha256(host, record.path)) === sha256) return record.path;
  }
  return null;
}
