/** Downloads with resume, from one of several addresses of the same bytes. A file has its right name only after its digest was right. */
import { dirname } from "node:path";
import { errno, HostFailure } from "../failure.ts";
import { requireSpace, size } from "../lmstudio/prerequisites.ts";
import { pause } from "../pause.ts";
import { type Asked, judgeAnswer, strongValidator } from "./answer.ts";
import { type Arrival, exchange, reasonOf, shown } from "./exchange.ts";
import { Pace } from "./pace.ts";
import { type Algorithm, dropPart, PartFile } from "./part-file.ts";

export interface FetchProgress {
  readonly received: number;
  /** Null when the server does not tell. */
  readonly total: number | null;
}

export interface FetchOrder {
  /** For messages: `model X`, `LM Studio 0.0.25-1`. */
  readonly what: string;
  /** Addresses of the same bytes: http or https, the preferred one first. */
  readonly urls: readonly [string, ...string[]];
  readonly digest: { readonly algorithm: Algorithm; readonly hex: string };
  /** Whole length in bytes, when it is known beforehand. */
  readonly size?: number;
  readonly bytesPerSecond?: number;
  /** A bearer token for the hosts of `urls`, not for where they redirect. */
  readonly bearer?: string;
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

/**
 * Resolves when `part` holds exactly the bytes of that digest, flushed to the disk; a part of other bytes is deleted. A part that was put together
 * from several addresses and is wrong says nothing of each of them, so each is asked alone then.
 * @throws HostFailure `checksum_mismatch`, `fetch_failed`, `disk_full`
 */
export async function fetchVerified(order: FetchOrder, part: string, options: FetchOptions = {}): Promise<void> {
  const { digest, from } = await fetchToPart(order, part, options);
  if (digest === order.digest.hex) return;
  await dropPart(part);
  let found = digest;
  for (const url of from.length > 1 ? order.urls : []) {
    const alone = await fetchToPart({ ...order, urls: [url] }, part, options).catch((error: unknown) => {
      if (error instanceof HostFailure && error.code === "fetch_failed") return null;
      throw error;
    });
    if (alone?.digest === order.digest.hex) return;
    await dropPart(part);
    found = alone?.digest ?? found;
  }
  throw new HostFailure(
    "checksum_mismatch",
    `${order.what}: ${from.map(shown).join(", ")} has ${order.digest.algorithm} ${found}, but ${order.digest.hex} is expected`,
    "correct the digest or the address in the spec; the download was deleted",
  );
}

/** Resolves when the whole body is in `part`, whatever it is. @returns its digest, and which addresses sent it */
async function fetchToPart(
  order: FetchOrder,
  path: string,
  options: FetchOptions,
): Promise<{ readonly digest: string; readonly from: readonly string[] }> {
  using part = await PartFile.open(path, order.digest.algorithm, order.urls);
  const urls: string[] = [...order.urls];
  const attempts = Math.max(options.attempts ?? 8, urls.length);
  const pace = order.bytesPerSecond === undefined ? null : new Pace(order.bytesPerSecond);
  let fruitless = 0;
  for (;;) {
    const url = urls[fruitless % urls.length] as string;
    const before = part.size;
    const failure = await attempt(url, order, part, pace, options).catch((error: unknown) => error);
    if (failure === null) return { digest: part.digest(), from: part.contributors };
    if (failure instanceof HostFailure) {
      // An address that will never do; another may.
      urls.splice(urls.indexOf(url), 1);
      if (failure.code !== "fetch_failed" || urls.length === 0) throw failure;
      continue;
    }
    if (errno(failure) === "ENOSPC") throw diskFull(order, failure);
    fruitless = part.size > before ? 0 : fruitless + 1;
    if (fruitless >= attempts) {
      throw new HostFailure(
        "fetch_failed",
        `${order.what}: ${urls.map(shown).join(", ")} could not be fetched: ${reasonOf(failure)}`,
        "check that the host can reach that address; what is here already is kept",
        failure,
      );
    }
    await pause(Math.min((options.retryMs ?? 500) * 2 ** Math.floor(fruitless / urls.length), 10_000));
  }
}

const diskFull = (order: FetchOrder, cause: unknown) =>
  new HostFailure(
    "disk_full",
    `the disk became full while fetching ${order.what}`,
    "free some space, then run up again: the download resumes",
    cause,
  );

/** @returns null when all is here, else why not; a HostFailure is thrown for what trying again cannot help */
async function attempt(
  url: string,
  order: FetchOrder,
  part: PartFile,
  pace: Pace | null,
  options: FetchOptions,
): Promise<Error | null> {
  const asked: Asked = { offset: part.size, validator: part.validatorOf(url), size: order.size ?? null };
  if (asked.offset > 0 && asked.offset === asked.size) return null;
  const headers: Record<string, string> = {};
  if (asked.offset > 0) {
    headers.range = `bytes=${asked.offset}-`;
    if (asked.validator !== null) headers["if-range"] = asked.validator;
  }
  const arrival = await exchange(url, { headers, bearer: order.bearer, ...pick(options.idleMs) });
  const { response } = arrival;
  try {
    const status = response.statusCode ?? 0;
    const verdict = judgeAnswer(asked, status, response.headers);
    if (verdict.do === "complete") return null;
    if (verdict.do === "restart") {
      await part.restart();
      return new Error("what was here is of another version");
    }
    if (verdict.do === "retry") return new Error(verdict.reason);
    if (verdict.do === "refuse") throw refusal(order, url, status, verdict.reason);
    const { at, skip, total } = verdict;
    if (at < part.size) await part.restart();
    if (total !== null)
      await requireSpace(dirname(part.path), (total - at) * (options.spaceFactor ?? 1), `fetching ${order.what}`);
    await part.willComeFrom(url, strongValidator(response.headers));
    await save(arrival, part, skip, total, pace, (received) => options.onProgress?.({ received, total }));
    return total === null || part.size === total
      ? null
      : new Error(`the connection ended after ${part.size} of ${total} bytes`);
  } finally {
    response.destroy();
  }
}

const pick = (idleMs: number | undefined) => (idleMs === undefined ? {} : { idleMs });

function refusal(order: FetchOrder, url: string, status: number, reason: string): HostFailure {
  const locked = status === 401 || status === 403;
  const next = locked
    ? "name a secret that holds a token for it (source.secret), or correct that token"
    : "correct the address in the spec";
  return new HostFailure("fetch_failed", `${order.what}: ${shown(url)}: ${reason}`, next);
}

/** @throws why the body broke off; what came is in the part then */
async function save(
  { response, ended, pour }: Arrival,
  part: PartFile,
  skip: number,
  total: number | null,
  pace: Pace | null,
  onBytes: (received: number) => void,
): Promise<void> {
  let failure: unknown = null;
  let unwanted = skip;
  let waitMs = 0;
  const fail = (error: unknown) => {
    failure = error;
    response.destroy();
  };
  pour((piece) => {
    if (failure !== null) return;
    const wanted = piece.subarray(Math.min(unwanted, piece.length));
    unwanted -= piece.length - wanted.length;
    if (total !== null && part.size + wanted.length > total) {
      fail(new Error(`the server sent more than ${total} bytes`));
      return;
    }
    try {
      part.append(wanted);
    } catch (error) {
      fail(error);
      return;
    }
    onBytes(part.size);
    waitMs = pace?.after(piece.length, performance.now()) ?? 0;
    if (waitMs < 5) return;
    response.pause();
    setTimeout(() => response.resume(), waitMs);
  });
  const broken = await ended;
  // What had come already when this began could not be held back.
  if (waitMs > 0) await pause(waitMs);
  failure ??= broken;
  if (failure !== null) throw failure;
}

export function progressLine(what: string, { received, total }: FetchProgress, perSecond: number): string {
  const done = total === null ? size(received) : `${Math.floor((received / total) * 100)} % of ${size(total)}`;
  const left = total === null || perSecond <= 0 ? "" : `, ${timeLeft((total - received) / perSecond)} left`;
  return `${what}: ${done}, ${size(perSecond)}/s${left}`;
}

function timeLeft(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
