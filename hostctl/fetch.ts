/** Downloads with resume: bytes go to `PATH.part`, which survives a kill; the caller verifies before it gives a final name. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { dirname } from "node:path";
import { readJson, writeJson } from "./atomic-file.ts";
import { errno, HostFailure } from "./failure.ts";
import { requireSpace, size } from "./lmstudio/prerequisites.ts";
import { pause } from "./pause.ts";

export interface FetchProgress {
  readonly received: number;
  /** Null when the server does not tell. */
  readonly total: number | null;
}

export interface FetchOptions {
  /** Attempts in a row that bring no byte before it gives up. */
  readonly attempts?: number;
  /** A connection that brings nothing for this long is cut and resumed. */
  readonly idleMs?: number;
  readonly retryMs?: number;
  /** Bytes that must be free for each byte that is fetched. */
  readonly spaceFactor?: number;
  readonly onProgress?: (progress: FetchProgress) => void;
}

interface PartRecord {
  readonly url: string;
  readonly validator: string | null;
}

/** Resolves when the whole body is in `part`. */
export async function fetchToPart(url: string, part: string, options: FetchOptions = {}): Promise<void> {
  const attempts = options.attempts ?? 8;
  let fruitless = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      if (await attempt(url, part, options)) return;
    } catch (error) {
      if (error instanceof HostFailure) throw error;
      if (errno(error) === "ENOSPC")
        throw new HostFailure(
          "disk_full",
          `the disk became full while fetching ${shown(url)}`,
          "free some space, then run up again: the download resumes",
          error,
        );
      fruitless = (await sizeOf(part)) > before ? 0 : fruitless + 1;
      if (fruitless >= attempts) {
        throw new HostFailure(
          "fetch_failed",
          `${shown(url)} could not be fetched: ${reason(error)}`,
          "check that the host can reach that address; what is here already is kept",
          error,
        );
      }
      await pause(Math.min((options.retryMs ?? 500) * 2 ** fruitless, 10_000));
    }
  }
}

/** True when complete; false asks for another attempt at once. */
async function attempt(url: string, part: string, options: FetchOptions): Promise<boolean> {
  const recordPath = `${part}.json`;
  const record = await readJson<PartRecord>(recordPath);
  // Bytes of another address are not continued. A server without validators is trusted: the checksum judges the whole.
  let offset = record?.url === url ? await sizeOf(part) : 0;
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "lmstack" };
  if (offset > 0) headers.range = `bytes=${offset}-`;
  if (offset > 0 && record?.validator) headers["if-range"] = record.validator;
  const arrival = await follow(url, headers, options.idleMs ?? 30_000);
  const { response } = arrival;
  try {
    const status = response.statusCode ?? 0;
    if (status === 416) {
      if (offset > 0 && Number(response.headers["content-range"]?.match(/\/(\d+)$/)?.[1]) === offset) return true;
      await rm(recordPath, { force: true });
      return false;
    }
    if (status >= 500 || status === 429 || status === 408) throw new Error(`the server answered ${status}`);
    if (status !== 200 && status !== 206) {
      throw new HostFailure("fetch_failed", `${shown(url)} answered ${status}`, "correct the address in the spec");
    }
    if (status !== 206) offset = 0;
    const length = response.headers["content-length"];
    const total = length === undefined ? null : offset + Number(length);
    if (total !== null)
      await requireSpace(dirname(part), (total - offset) * (options.spaceFactor ?? 1), `fetching ${shown(url)}`);
    await writeJson(recordPath, { url, validator: strongValidator(response.headers) } satisfies PartRecord);
    const received = await save(arrival, part, offset, (bytes) => options.onProgress?.({ received: bytes, total }));
    if (total !== null && received < total) throw new Error(`the connection ended after ${received} of ${total} bytes`);
    return true;
  } finally {
    response.destroy();
  }
}

interface Arrival {
  readonly response: IncomingMessage;
  /** Null for a whole body; else why it broke off. */
  readonly ended: Promise<Error | null>;
  /** Everything that came and will come, in order. */
  pour(sink: (piece: Buffer) => void): void;
}

/**
 * Not `fetch`, and listening from the first moment: a stream throws away what it holds when its connection breaks, and on a bad network
 * the small pieces would never add up.
 */
async function follow(url: string, headers: Record<string, string>, idleMs: number): Promise<Arrival> {
  let address = url;
  for (let hops = 0; hops < 10; hops++) {
    const arrival = await new Promise<Arrival>((resolve, reject) => {
      const client = address.startsWith("https:") ? https : http;
      const request = client.get(address, { headers, timeout: idleMs, agent: false }, (response) =>
        resolve(arrive(response)),
      );
      request.on("timeout", () => request.destroy(new Error("no data for a while")));
      request.on("error", reject);
    });
    const { location } = arrival.response.headers;
    const status = arrival.response.statusCode ?? 0;
    if (status < 300 || status >= 400 || location === undefined) return arrival;
    arrival.response.destroy();
    address = new URL(location, address).href;
  }
  throw new HostFailure("fetch_failed", `${shown(url)} redirects without end`, "correct the address in the spec");
}

function arrive(response: IncomingMessage): Arrival {
  const early: Buffer[] = [];
  let take = (piece: Buffer): void => {
    early.push(piece);
  };
  response.on("data", (piece: Buffer) => take(piece));
  const ended = new Promise<Error | null>((resolve) => {
    response.on("error", resolve);
    response.on("end", () => resolve(null));
    response.on("close", () => resolve(new Error("the connection was closed")));
  });
  const pour = (sink: (piece: Buffer) => void) => {
    for (const piece of early.splice(0)) sink(piece);
    take = sink;
  };
  return { response, ended, pour };
}

/** Each piece is on disk before the next event, so a kill loses nothing that came. @returns bytes in the file */
async function save(
  arrival: Arrival,
  part: string,
  offset: number,
  onBytes: (received: number) => void,
): Promise<number> {
  const file = openSync(part, offset > 0 ? "a" : "w", 0o600);
  let received = offset;
  let failure: unknown = null;
  try {
    arrival.pour((piece) => {
      try {
        if (failure === null) writeFileSync(file, piece);
        received += piece.length;
        onBytes(received);
      } catch (error) {
        failure = error;
        arrival.response.destroy();
      }
    });
    const broken = await arrival.ended;
    failure ??= broken;
  } finally {
    closeSync(file);
  }
  if (failure !== null) throw failure;
  return received;
}

/** A weak ETag may not stand in If-Range. */
function strongValidator({ etag, "last-modified": date }: IncomingHttpHeaders): string | null {
  return etag !== undefined && !etag.startsWith("W/") ? etag : (date ?? null);
}

export async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

export async function dropPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

/** Credentials and queries of an address are not for logs. */
export function shown(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "the address";
  }
}

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || (errno(cause) ?? cause.name) : String(cause);
}

export function progressLine(what: string, { received, total }: FetchProgress, perSecond: number): string {
  const done = total === null ? size(received) : `${Math.floor((received / total) * 100)} % of ${size(total)}`;
  const left = total === null || perSecond <= 0 ? "" : `, ${Math.ceil((total - received) / perSecond)} s left`;
  return `${what}: ${done}, ${size(perSecond)}/s${left}`;
}
