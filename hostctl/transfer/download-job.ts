/**
 * A download is a process of its own: it outlives the ssh that asked for it, and whoever asks again attaches to it. It holds a kernel lock
 * while it runs and tells its progress in a file.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorCode } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { asFailure, HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { tryLock } from "../lock.ts";
import { pause } from "../pause.ts";
import { endProcess, isSame, markOf, type ProcessMark } from "../process.ts";
import { shown } from "./exchange.ts";
import { type FetchProgress, fetchVerified, progressLine } from "./fetch.ts";
import { Rate } from "./pace.ts";
import { dropPart } from "./part-file.ts";
import { fetchFromPeers, type LeftOut, type PeerOrder } from "./peers.ts";
import { isStored, putIntoStore } from "./store.ts";

export interface DownloadOrder {
  readonly sha256: string;
  /** For messages. */
  readonly what: string;
  readonly urls: readonly string[];
  /** Hosts that share the file, instead of addresses of it. */
  readonly peers?: readonly string[];
  readonly size?: number;
  readonly bytesPerSecond?: number;
}

interface JobFile {
  readonly order: DownloadOrder;
  readonly job: ProcessMark | null;
  readonly state: "asked" | "fetching" | "done" | "failed";
  readonly progress?: FetchProgress;
  readonly perSecond?: number;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly hint: string };
}

const starts = 5;

/**
 * Returns when the file is complete, verified and in the store.
 * @param credential a bearer token; it goes to the job through a pipe, and into no file
 */
export async function awaitDownload(host: Host, order: DownloadOrder, credential?: string): Promise<void> {
  await mkdir(host.paths.downloads, { recursive: true, mode: 0o700 });
  const known = await readJson<JobFile>(jobPath(host, order.sha256));
  // Other addresses or another bandwidth for the same bytes: what is here already is gone on with.
  if (known !== null && !isSameOrder(known.order, order)) await endJob(host, order.sha256);
  const say = paced(host.say);
  for (let start = 0; start < starts; start++) {
    // Another model that waited for the same bytes may have seen their end first.
    if (await isStored(host, order.sha256)) return;
    if (await isFree(host, order.sha256)) await startJob(host, order, credential);
    else host.say(`${order.what}: a download is running already, waiting for it`);
    const end = await follow(host, order, say);
    if (end?.state === "done") {
      await rm(jobPath(host, order.sha256), { force: true });
      return;
    }
    if (end?.error !== undefined) throw new HostFailure(end.error.code, end.error.message, end.error.hint);
    host.say(`${order.what}: the download was ended, going on where it stopped`);
  }
  throw new HostFailure(
    "fetch_failed",
    `the download of ${shown(order.urls[0] ?? order.peers?.[0] ?? "")} for ${order.what} was ended ${starts} times by something else`,
    "look for what ends processes on the host",
  );
}

/** Whatever models they are for: these wait for one job. */
function isSameOrder({ what: _, ...one }: DownloadOrder, { what: __, ...other }: DownloadOrder): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Until the job reports its end, or is dead (null). */
async function follow(host: Host, order: DownloadOrder, say: (line: string) => void): Promise<JobFile | null> {
  const begun = Date.now();
  for (;;) {
    const free = await isFree(host, order.sha256);
    const file = await readJson<JobFile>(jobPath(host, order.sha256));
    if (file?.state === "done" || file?.state === "failed") return file;
    if (file?.progress) say(progressLine(order.what, file.progress, file.perSecond ?? 0));
    // The job needs a moment to start before its lock says anything.
    if (free && (file?.state !== "asked" || Date.now() - begun > 10_000) && !isSame(file?.job)) return null;
    await pause(200);
  }
}

async function startJob(host: Host, order: DownloadOrder, credential: string | undefined): Promise<void> {
  await writeJson(jobPath(host, order.sha256), { order, job: null, state: "asked" } satisfies JobFile);
  const [node, hostctl] = existsSync(host.program.hostctl)
    ? [host.program.node, host.program.hostctl]
    : [process.execPath, process.argv[1] ?? ""];
  const child = spawn(node, [hostctl, "download", order.sha256], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: host.home,
    env: { ...process.env, HOME: host.home },
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.stdin?.on("error", () => {});
  await new Promise<void>((resolve) => child.stdin?.end(credential ?? "", resolve));
  child.unref();
}

/** The job itself (`hostctl download SHA256`). */
export async function download(host: Host, id: string, credential: string): Promise<void> {
  // Whoever follows tries the lock now and then for a moment.
  let release = await tryLock(host, lockName(id));
  for (let tries = 0; release === null && tries < 30; tries++) {
    await pause(50);
    release = await tryLock(host, lockName(id));
  }
  const asked = await readJson<JobFile>(jobPath(host, id));
  // Of two that were started at once, the second has nothing left to do.
  if (release === null || asked === null || asked.state === "done") return;
  const { order } = asked;
  const job = markOf(process.pid);
  const tell = (more: Omit<JobFile, "order" | "job">) =>
    writeJson(jobPath(host, id), { order, job, ...more } satisfies JobFile);
  const part = partPath(host, id);
  try {
    await tell({ state: "fetching" });
    let latest: FetchProgress | null = null;
    let told = Promise.resolve();
    const rate = new Rate();
    const ticker = setInterval(() => {
      if (latest === null) return;
      told = tell({ state: "fetching", progress: latest, perSecond: rate.perSecond() }).catch(() => {});
    }, 1000);
    const { urls, peers } = order;
    const bearer = credential === "" ? {} : { bearer: credential };
    const onProgress = (progress: FetchProgress) => {
      latest = progress;
      rate.see(progress.received, performance.now());
    };
    try {
      if (peers !== undefined) await fetchFromPeers({ ...order, ...bearer, peers }, part, { onProgress });
      else {
        const wanted = { ...order, ...bearer, urls: urls as [string, ...string[]] };
        await fetchVerified({ ...wanted, digest: { algorithm: "sha256", hex: order.sha256 } }, part, { onProgress });
      }
    } finally {
      clearInterval(ticker);
      await told;
    }
    await putIntoStore(host, part, order.sha256);
    await dropPart(part);
    await tell({ state: "done" });
  } catch (error) {
    const { code, message, hint } = asFailure(error);
    await tell({ state: "failed", error: { code, message, hint } });
  } finally {
    await release();
  }
}

/**
 * In this process, for as long as whoever asked is there. What came stays, and the next one goes on with it.
 * @param order with peers and the list of pieces
 * @param begin told the path of the part, it returns what is called for each piece that is there
 * @throws HostFailure `busy` while a job fetches the same bytes
 */
export async function fetchHere(
  host: Host,
  order: PeerOrder,
  begin: (part: string) => (index: number) => void,
): Promise<LeftOut[]> {
  await mkdir(host.paths.downloads, { recursive: true, mode: 0o700 });
  const release = await tryLock(host, lockName(order.sha256));
  if (release === null)
    throw new HostFailure("busy", `${order.what}: a download is running already`, "wait for its end");
  const part = partPath(host, order.sha256);
  const say = paced(host.say);
  const rate = new Rate();
  const onProgress = (progress: FetchProgress) => {
    rate.see(progress.received, performance.now());
    say(progressLine(order.what, progress, rate.perSecond()));
  };
  try {
    const leftOut = await fetchFromPeers(order, part, { onProgress, onPiece: begin(part) });
    await putIntoStore(host, part, order.sha256);
    await dropPart(part);
    return leftOut;
  } finally {
    await release();
  }
}

/** Ends the job and drops what it has fetched. */
export async function cancelDownload(host: Host, sha256: string): Promise<void> {
  await endJob(host, sha256);
  await dropPart(partPath(host, sha256));
}

async function endJob(host: Host, sha256: string): Promise<void> {
  const file = await readJson<JobFile>(jobPath(host, sha256));
  if (isSame(file?.job)) await endProcess(file.job, 3000);
  await rm(jobPath(host, sha256), { force: true });
}

async function isFree(host: Host, id: string): Promise<boolean> {
  const release = await tryLock(host, lockName(id));
  await release?.();
  return release !== null;
}

const lockName = (sha256: string) => `download-${sha256}`;
const partPath = (host: Host, sha256: string) => join(host.paths.downloads, `${sha256}.part`);
const jobPath = (host: Host, sha256: string) => join(host.paths.downloads, `${sha256}.job.json`);
