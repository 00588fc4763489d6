/**
 * One file from several hosts at once, piece by piece. A list of pieces is only what a peer says: pieces are judged by it, the whole by the sha256 that
 * was asked for, and when a list turns out wrong every peer that told it is left out; what agrees with the next list stays.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { hashFile } from "../checksum.ts";
import { errno, HostFailure } from "../failure.ts";
import { requireSpace } from "../lmstudio/prerequisites.ts";
import { pause } from "../pause.ts";
import { exchange, reasonOf, shown } from "./exchange.ts";
import type { FetchProgress } from "./fetch.ts";
import { Pace } from "./pace.ts";
import { isWholeList, type PieceList, pieceListSchema, pieceRange } from "./pieces.ts";

export interface PeerOrder {
  readonly what: string;
  /** Base addresses of hosts that share files. */
  readonly peers: readonly string[];
  readonly sha256: string;
  readonly bytesPerSecond?: number;
  readonly bearer?: string;
}

interface PeerOptions {
  readonly idleMs?: number;
  readonly onProgress?: (progress: FetchProgress) => void;
}

interface Group {
  readonly list: PieceList;
  readonly peers: string[];
}

/** A peer reads the whole file before it answers for the first time: 17 GB take it a minute. */
const listingMs = 300_000;
/** Failures in a row after which a peer is left out. */
const patience = 3;

/** Resolves when `part` holds exactly the bytes of that digest. @throws HostFailure `fetch_failed`, `disk_full` */
export async function fetchFromPeers(order: PeerOrder, part: string, options: PeerOptions = {}): Promise<void> {
  const { groups, reasons } = await askForLists(order, options);
  for (const group of groups) {
    const file = await open(part, "r+").catch(() => open(part, "w+", 0o600));
    try {
      // Pieces come in any order, so the length does not tell how much of it lies on the disk.
      const here = (await file.stat()).blocks * 512;
      await requireSpace(dirname(part), Math.max(0, group.list.size - here), `fetching ${order.what}`);
      const missing = await fetchPieces(order, group, file, options);
      if (missing !== null) {
        reasons.push(missing);
        continue;
      }
      await file.truncate(group.list.size);
      await file.sync();
    } finally {
      await file.close();
    }
    if ((await hashFile(part, "sha256")) === order.sha256) return;
    reasons.push(`${group.peers.map(shown).join(", ")}: the file is not the one that was asked for`);
  }
  throw new HostFailure(
    "fetch_failed",
    `${order.what}: no peer could give sha256 ${order.sha256}: ${reasons.join("; ") || "none was named"}`,
    "check that a peer shares that file under that key; what is here already is kept",
  );
}

/** The list that most peers tell comes first. */
async function askForLists(order: PeerOrder, options: PeerOptions): Promise<{ groups: Group[]; reasons: string[] }> {
  const reasons: string[] = [];
  const groups = new Map<string, Group>();
  await Promise.all(
    order.peers.map(async (peer) => {
      try {
        const patient = { idleMs: options.idleMs ?? listingMs };
        const body = await read(order, `${fileAddress(peer, order)}/pieces`, {}, 200, 64 * 2 ** 20, patient);
        const list = pieceListSchema.parse(JSON.parse(body.toString("utf8")));
        if (!isWholeList(list)) throw new Error("its list of pieces has gaps");
        const key = JSON.stringify(list);
        groups.set(key, { list, peers: [...(groups.get(key)?.peers ?? []), peer] });
      } catch (error) {
        reasons.push(`${shown(peer)}: ${reasonOf(error)}`);
      }
    }),
  );
  return { groups: [...groups.values()].sort((a, b) => b.peers.length - a.peers.length), reasons };
}

/** @returns null when every piece is there, else why not */
async function fetchPieces(
  order: PeerOrder,
  { list, peers }: Group,
  file: FileHandle,
  options: PeerOptions,
): Promise<string | null> {
  const wanted: number[] = [];
  let received = 0;
  const tell = () => options.onProgress?.({ received, total: list.size });
  for (const [index, sha256] of list.sha256.entries()) {
    const { start, length } = pieceRange(list, index);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    if (bytesRead === length && digestOf(buffer) === sha256) received += length;
    else wanted.push(index);
  }
  tell();
  const pace = order.bytesPerSecond === undefined ? null : new Pace(order.bytesPerSecond);
  let left = wanted.length;
  const reasons: string[] = [];
  const serve = async (peer: string) => {
    let failures = 0;
    while (left > 0 && failures < patience) {
      const index = wanted.shift();
      // The last pieces are on their way from others, who may yet fail.
      if (index === undefined) {
        await pause(20);
        continue;
      }
      const { start, length } = pieceRange(list, index);
      try {
        const headers = { range: `bytes=${start}-${start + length - 1}` };
        const body = await read(order, fileAddress(peer, order), headers, 206, length, options);
        if (body.length !== length || digestOf(body) !== list.sha256[index]) throw new Error(`piece ${index} is wrong`);
        await file.write(body, 0, length, start);
        left--;
        received += length;
        failures = 0;
        tell();
        const waitMs = pace?.after(length, performance.now()) ?? 0;
        if (waitMs > 5) await pause(waitMs);
      } catch (error) {
        if (errno(error) === "ENOSPC") throw error;
        wanted.push(index);
        failures++;
        if (failures === patience) reasons.push(`${shown(peer)}: ${reasonOf(error)}`);
      }
    }
  };
  await Promise.all(peers.map(serve));
  return left === 0 ? null : reasons.join("; ");
}

async function read(
  order: PeerOrder,
  url: string,
  headers: Record<string, string>,
  wanted: number,
  limit: number,
  { idleMs }: PeerOptions,
): Promise<Buffer> {
  const how = { headers, bearer: order.bearer, ...(idleMs === undefined ? {} : { idleMs }) };
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

const digestOf = (piece: Uint8Array) => createHash("sha256").update(piece).digest("hex");
