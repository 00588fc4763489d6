/**
 * One file from several hosts at once, piece by piece. Pieces are judged by a list, the whole by the sha256 that was asked for. The list comes with the
 * order, or is only what a peer says: when one turns out wrong every peer that told it is left out; what agrees with the next list stays.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { errno, HostFailure } from "../failure.ts";
import { requireSpace } from "../lmstudio/prerequisites.ts";
import { pause } from "../pause.ts";
import { exchange, reasonOf, shown } from "./exchange.ts";
import type { FetchProgress } from "./fetch.ts";
import { Pace } from "./pace.ts";
import { PieceQueue } from "./piece-queue.ts";
import { type PieceList, pieceDigest, pieceListSchema, pieceRange, readPiece } from "./pieces.ts";

export interface PeerOrder {
  readonly what: string;
  /** Base addresses of hosts that share files. */
  readonly peers: readonly string[];
  /** Each is asked when that one of `peers` gives nothing any more. */
  readonly spares?: readonly string[];
  readonly sha256: string;
  /** What the peers are held to; asked of them when absent. */
  readonly pieces?: PieceList;
  readonly bytesPerSecond?: number;
  readonly bearer?: string;
}

interface PeerOptions {
  readonly idleMs?: number;
  readonly onProgress?: (progress: FetchProgress) => void;
  /** A piece is there and right. */
  readonly onPiece?: (index: number) => void;
}

/** A peer that was asked no more, and why. */
export interface LeftOut {
  readonly peer: string;
  readonly why: string;
}

interface Group {
  readonly list: PieceList;
  readonly peers: string[];
  readonly spares: readonly string[];
}

/** A peer reads the whole file before it answers for the first time: 17 GB take it a minute. */
const listingMs = 300_000;
/** Failures in a row, or wrong pieces, after which a peer is left out. */
const patience = 3;

/** Resolves when `part` holds exactly the bytes of that digest. @throws HostFailure `fetch_failed`, `disk_full` */
export async function fetchFromPeers(order: PeerOrder, part: string, options: PeerOptions = {}): Promise<LeftOut[]> {
  const { peers, spares = [], pieces } = order;
  const { groups, leftOut } = pieces
    ? { groups: [{ list: pieces, peers: [...peers], spares }], leftOut: [] }
    : await askForLists(order, options);
  for (const group of groups) {
    const file = await open(part, "r+").catch(() => open(part, "w+", 0o600));
    try {
      // Pieces come in any order, so the length does not tell how much of it lies on the disk.
      const here = (await file.stat()).blocks * 512;
      await requireSpace(dirname(part), Math.max(0, group.list.size - here), `fetching ${order.what}`);
      const digest = await fetchPieces(order, group, file, leftOut, options);
      if (digest === null) continue;
      await file.truncate(group.list.size);
      await file.sync();
      if (digest === order.sha256) return leftOut;
      leftOut.push(...group.peers.map((peer) => ({ peer, why: "the file is not the one that was asked for" })));
    } finally {
      await file.close();
    }
  }
  throw new HostFailure(
    "fetch_failed",
    `${order.what}: no peer could give sha256 ${order.sha256}: ${leftOut.map(({ peer, why }) => `${shown(peer)}: ${why}`).join("; ") || "none was named"}`,
    "check that a peer shares that file under that key; what is here already is kept",
  );
}

/** The list that most peers tell comes first. */
async function askForLists(order: PeerOrder, options: PeerOptions): Promise<{ groups: Group[]; leftOut: LeftOut[] }> {
  const leftOut: LeftOut[] = [];
  const groups = new Map<string, Group>();
  await Promise.all(
    order.peers.map(async (peer) => {
      try {
        const patient = { idleMs: options.idleMs ?? listingMs };
        const body = await read(order, `${fileAddress(peer, order)}/pieces`, {}, 200, 64 * 2 ** 20, patient);
        const list = pieceListSchema.parse(JSON.parse(body.toString("utf8")));
        const key = JSON.stringify(list);
        groups.set(key, { list, peers: [...(groups.get(key)?.peers ?? []), peer], spares: [] });
      } catch (error) {
        leftOut.push({ peer, why: reasonOf(error) });
      }
    }),
  );
  return { groups: [...groups.values()].sort((a, b) => b.peers.length - a.peers.length), leftOut };
}

/** @returns the sha256 of the whole, or null when pieces are missing */
async function fetchPieces(
  order: PeerOrder,
  { list, peers, spares }: Group,
  file: FileHandle,
  leftOut: LeftOut[],
  { onProgress, onPiece, ...options }: PeerOptions,
): Promise<string | null> {
  const whole = new Following(file, list);
  let received = 0;
  const arrived = (index: number) => {
    received += pieceRange(list, index).length;
    onProgress?.({ received, total: list.size });
    onPiece?.(index);
    whole.follow(index);
  };
  const there = new Set<number>();
  for (const [index, sha256] of list.sha256.entries()) {
    if ((await pieceDigest(await readPiece(file, list, index))) !== sha256) continue;
    there.add(index);
    arrived(index);
  }
  const queue = new PieceQueue(list.sha256.length, there, peers.length);
  const pace = order.bytesPerSecond === undefined ? null : new Pace(order.bytesPerSecond);
  // When all is there nobody waits for those who are late with the same.
  const late = new AbortController();
  const { signal } = late;
  const serve = async (peer: string, source: number) => {
    const faults = { inARow: 0, wrong: 0 };
    while (!queue.done && Math.max(faults.inARow, faults.wrong) < patience) {
      const index = queue.next(source, performance.now());
      if (index === undefined) {
        await pause(20);
        continue;
      }
      const { start, length } = pieceRange(list, index);
      try {
        const headers = { range: `bytes=${start}-${start + length - 1}` };
        const body = await read(order, fileAddress(peer, order), headers, 206, length, { ...options, signal });
        if (body.length !== length || (await pieceDigest(body)) !== list.sha256[index]) {
          faults.wrong++;
          throw new Error(`piece ${index} is wrong`);
        }
        faults.inARow = 0;
        // Whoever else was asked for it sent the same bytes.
        await file.write(body, 0, length, start);
        if (queue.arrived(index)) arrived(index);
        if (queue.done) late.abort();
        const waitMs = pace?.after(length, performance.now()) ?? 0;
        if (waitMs > 5) await pause(waitMs);
      } catch (error) {
        if (errno(error) === "ENOSPC") throw error;
        if (signal.aborted) return;
        queue.failed(index);
        faults.inARow++;
        if (Math.max(faults.inARow, faults.wrong) < patience) continue;
        queue.leaveOut(source);
        leftOut.push({ peer, why: reasonOf(error) });
      }
    }
  };
  await Promise.all([...peers, ...spares].map(serve));
  return queue.done ? await whole.digest() : null;
}

/** The digest of the whole, as far as it lies there without a gap: at the end little is left to read. */
class Following {
  readonly #file: FileHandle;
  readonly #list: PieceList;
  readonly #hash = createHash("sha256");
  readonly #there = new Set<number>();
  #next = 0;
  #reading = Promise.resolve();

  constructor(file: FileHandle, list: PieceList) {
    this.#file = file;
    this.#list = list;
  }

  follow(index: number): void {
    this.#there.add(index);
    this.#reading = this.#reading.then(async () => {
      for (; this.#there.has(this.#next); this.#next++)
        this.#hash.update(await readPiece(this.#file, this.#list, this.#next));
    });
    // Told where it is waited for.
    this.#reading.catch(() => {});
  }

  async digest(): Promise<string> {
    await this.#reading;
    return this.#hash.digest("hex");
  }
}

async function read(
  order: PeerOrder,
  url: string,
  headers: Record<string, string>,
  wanted: number,
  limit: number,
  { idleMs, signal }: Pick<PeerOptions, "idleMs"> & { readonly signal?: AbortSignal },
): Promise<Buffer<ArrayBuffer>> {
  const how = { headers, bearer: order.bearer, signal, ...(idleMs === undefined ? {} : { idleMs }) };
  const { response, ended, pour } = await exchange(url, how);
  try {
    if (response.statusCode !== wanted) throw new Error(`it answered ${response.statusCode}`);
    const pieces: Buffer[] = [];
    let bytes = 0;
    pour((piece) => {
      bytes += piece.length;
      if (bytes > limit) response.destroy(new Error(`it sent more than ${limit} bytes`));
      else pieces.push(piece);
    });
    const broken = await ended;
    if (broken !== null) throw broken;
    return Buffer.concat(pieces);
  } finally {
    response.destroy();
  }
}

const fileAddress = (peer: string, { sha256 }: PeerOrder) => `${peer.replace(/\/+$/, "")}/sha256/${sha256}`;
