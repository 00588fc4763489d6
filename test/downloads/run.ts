/** Downloads over a bad network, measured: what a person would lose is bytes that come twice, and bytes that are wrong. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { fetchVerified } from "../../hostctl/transfer/fetch.ts";
import { fetchFromPeers } from "../../hostctl/transfer/peers.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { BadServer } from "./bad-server.ts";
import { type Content, writeContent } from "./content.ts";
import { startPeer } from "./peer-link.ts";

export interface DownloadsOptions {
  readonly cuts: number;
  readonly megabytes: number;
  readonly seed: number;
  /** Beside curl on a link of that speed; null leaves the comparison out. */
  readonly linkBytesPerSecond: number | null;
  readonly say: (line: string) => void;
}

/** A silent connection is given up after this. */
const idleMs = 500;
const peerBytesPerSecond = 10e6;
/** What a cut may cost: bytes that were on their way when it happened. */
const inFlightBytes = 256 * 1024;

export async function runDownloads(options: DownloadsOptions): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-downloads-"));
  try {
    options.say(`making a file of ${options.megabytes} MB`);
    const content = await writeContent(join(folder, "model.gguf"), options.megabytes * 1e6, options.seed);
    const rows = [...(await cutTransfer(content, folder, options)), ...(await wrongBytes(content, folder, options))];
    if (options.linkBytesPerSecond !== null) {
      rows.push(await besideCurl(content, folder, options.linkBytesPerSecond, options));
      rows.push(await threePeers(folder, options));
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function cutTransfer(content: Content, folder: string, { cuts, seed, say }: DownloadsOptions): Promise<Row[]> {
  await using server = await BadServer.start(content, { cuts, seed });
  const part = join(folder, "cut.part");
  let told = performance.now();
  let furthest = 0;
  let fellBack = false;
  await fetchVerified(order(content, server.url), part, {
    idleMs,
    retryMs: 10,
    onProgress: ({ received }) => {
      fellBack ||= received < furthest;
      furthest = received;
      if (performance.now() - told < 5000) return;
      told = performance.now();
      say(`${Math.round((received / content.bytes) * 100)} %, ${total(server.played)} of ${cuts} cuts`);
    },
  });
  const again = server.sent - content.bytes;
  const found = await sha256Of(part);
  await rm(part);
  return [
    {
      name: "cuts of the transfer",
      value: total(server.played),
      unit: JSON.stringify(server.played),
      bar: `${cuts}`,
      ok: total(server.played) === cuts,
    },
    mustHold("never began anew", !fellBack, fellBack ? "it did" : "yes"),
    {
      name: "sent again after cuts",
      value: again,
      unit: "B",
      bar: `at most ${cuts * inFlightBytes} B`,
      ok: again <= cuts * inFlightBytes,
    },
    mustHold("every byte is right", found === content.sha256, found === content.sha256 ? "yes" : `sha256 ${found}`),
  ];
}

async function wrongBytes(content: Content, folder: string, { seed, say }: DownloadsOptions): Promise<Row[]> {
  say("one wrong byte");
  await using wrong = await BadServer.start(content, { cuts: 0, seed, flipped: Math.floor(content.bytes / 2) });
  await using right = await BadServer.start(content, { cuts: 0, seed });
  const part = join(folder, "wrong.part");
  const code = await fetchVerified(order(content, wrong.url), part, { retryMs: 10 }).then(
    () => "accepted",
    (error: { code?: string }) => error.code ?? "failed",
  );
  const rows = [
    mustHold("a wrong byte is refused", code === "checksum_mismatch", code),
    mustHold("what holds a wrong byte is deleted", !existsSync(part), existsSync(part) ? "it is there" : "yes"),
  ];
  await rm(part, { force: true });
  await using cutting = await BadServer.start(content, { cuts: 5, seed, flipped: 0 });
  await fetchVerified({ ...order(content, cutting.url), urls: [cutting.url, right.url] }, part, {
    idleMs,
    retryMs: 10,
  }).catch(() => {});
  const found = existsSync(part) ? await sha256Of(part) : "nothing";
  await rm(part, { force: true });
  return [
    ...rows,
    mustHold(
      "a right mirror makes up for a wrong one",
      found === content.sha256,
      found === content.sha256 ? "yes" : found,
    ),
  ];
}

/** The link is a process of its own, so that neither of the two shares a processor's time with it more than the other. */
async function besideCurl(
  content: Content,
  folder: string,
  bytesPerSecond: number,
  { seed, say }: DownloadsOptions,
): Promise<Row> {
  const data = { content, options: { cuts: 0, seed, bytesPerSecond } };
  const link = new Worker(new URL("link.ts", import.meta.url), { workerData: data });
  try {
    const [url] = (await once(link, "message")) as [string];
    const best = { curl: Number.POSITIVE_INFINITY, ours: Number.POSITIVE_INFINITY };
    for (let round = 0; round < 2; round++) {
      say("curl");
      best.curl = Math.min(
        best.curl,
        await timed(async () => {
          const child = spawn("curl", ["-sSf", "-o", join(folder, "curl.out"), url], { stdio: "inherit" });
          const [code] = (await once(child, "close")) as [number];
          if (code !== 0) throw new Error(`curl ended with ${code}`);
        }),
      );
      say("lmstack");
      const part = join(folder, "speed.part");
      best.ours = Math.min(best.ours, await timed(() => fetchVerified(order(content, url), part)));
      await rm(part);
      await rm(`${part}.json`, { force: true });
    }
    const ratio = best.curl / best.ours;
    return {
      name: "speed beside curl, digest included",
      value: Number(ratio.toFixed(3)),
      unit: `(${(content.bytes / 1e6 / best.ours).toFixed(0)} MB/s)`,
      bar: "at least 0.9",
      ok: ratio >= 0.9,
    };
  } finally {
    await link.terminate();
  }
}

/** Each peer on a slow link of its own: together they must be worth more than one. */
async function threePeers(folder: string, { megabytes, seed, say }: DownloadsOptions): Promise<Row> {
  const content = await writeContent(join(folder, "shared.gguf"), Math.min(megabytes, 96) * 1e6, seed + 1);
  await using first = await startPeer(content, peerBytesPerSecond);
  await using second = await startPeer(content, peerBytesPerSecond);
  await using third = await startPeer(content, peerBytesPerSecond);
  const seconds = async (peers: readonly { url: string }[]) => {
    say(`${peers.length} peers`);
    const part = join(folder, `peers-${peers.length}.part`);
    const wanted = { what: "the test's file", sha256: content.sha256, peers: peers.map(({ url }) => url) };
    const taken = await timed(() => fetchFromPeers(wanted, part));
    await rm(part);
    return taken;
  };
  const ratio = (await seconds([first])) / (await seconds([first, second, third]));
  const unit = `(each ${peerBytesPerSecond / 1e6} MB/s)`;
  return { name: "three peers beside one", value: Number(ratio.toFixed(2)), unit, bar: "at least 2", ok: ratio >= 2 };
}

const order = (content: Content, url: string) => ({
  what: "the test's file",
  urls: [url] as [string, ...string[]],
  digest: { algorithm: "sha256", hex: content.sha256 } as const,
});

const total = (played: Readonly<Record<string, number>>) => Object.values(played).reduce((sum, one) => sum + one, 0);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
