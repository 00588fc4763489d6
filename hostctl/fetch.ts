/** Downloads with resume: bytes go to `PATH.part`, which survives a kill; the caller verifies before it gives a final name. */
import { createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
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
  const abort = new AbortController();
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (offset > 0) headers.range = `bytes=${offset}-`;
  if (offset > 0 && record?.validator) headers["if-range"] = record.validator;
  const idle = setTimeout(() => abort.abort(new Error("no data for a while")), options.idleMs ?? 30_000);
  try {
    const response = await fetch(url, { headers, signal: abort.signal });
    if (response.status === 416) {
      await response.body?.cancel();
      if (offset > 0 && Number(response.headers.get("content-range")?.match(/\/(\d+)$/)?.[1]) === offset) return true;
      await rm(recordPath, { force: true });
      return false;
    }
    if (!response.ok) {
      await response.body?.cancel();
      const status = `${response.status} ${response.statusText}`.trim();
      if (response.status >= 500 || response.status === 429 || response.status === 408)
        throw new Error(`the server answered ${status}`);
      throw new HostFailure("fetch_failed", `${shown(url)} answered ${status}`, "correct the address in the spec");
    }
    if (response.status !== 206) offset = 0;
    const length = response.headers.get("content-length");
    const total = length === null ? null : offset + Number(length);
    if (total !== null)
      await requireSpace(dirname(part), (total - offset) * (options.spaceFactor ?? 1), `fetching ${shown(url)}`);
    await writeJson(recordPath, { url, validator: strongValidator(response.headers) } satisfies PartRecord);
    if (response.body === null) throw new Error("the server sent no body");
    let received = offset;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        idle.refresh();
        options.onProgress?.({ received, total });
        done(null, chunk);
      },
    });
    await pipeline(
      Readable.fromWeb(response.body),
      meter,
      createWriteStream(part, { flags: offset > 0 ? "a" : "w", mode: 0o600 }),
    );
    if (total !== null && received < total) throw new Error(`the connection ended after ${received} of ${total} bytes`);
    return true;
  } finally {
    clearTimeout(idle);
  }
}

/** A weak ETag may not stand in If-Range. */
function strongValidator(headers: Headers): string | null {
  const etag = headers.get("etag");
  return etag !== null && !etag.startsWith("W/") ? etag : headers.get("last-modified");
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
