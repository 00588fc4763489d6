import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { shown } from "../../../../hostctl/transfer/exchange.ts";
import { type FetchOptions, type FetchOrder, fetchVerified } from "../../../../hostctl/transfer/fetch.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const content = randomBytes(300_000);
const other = randomBytes(300_000);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let folder: string;
let part: string;
let servers: Server[];

/** A server of its own, which writes down what it was asked. */
async function serve(answer: Handler): Promise<{ url: string; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf?token=secret`, asked };
}

/** An ordinary server with ranges; cuts the connection after `cut` bytes of an answer. */
const ranged =
  (etag: string | null, body = content, cut = Number.POSITIVE_INFINITY): Handler =>
  (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const condition = request.headers["if-range"];
    const from = range && (condition === undefined || condition === etag) ? Number(range[1]) : 0;
    const headers = etag === null ? {} : { etag };
    if (from >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
      return;
    }
    const partial = from > 0 ? { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { ...headers, ...partial, "content-length": body.length - from });
    pour(response, body.subarray(from), cut);
  };

/** Knows nothing of ranges. */
const whole =
  (etag: string, cut = Number.POSITIVE_INFINITY): Handler =>
  (_, response) => {
    response.writeHead(200, { etag, "content-length": content.length });
    pour(response, content, cut);
  };

function pour(response: ServerResponse, body: Buffer, cut: number): void {
  if (body.length <= cut) response.end(body);
  else response.write(body.subarray(0, cut), () => setImmediate(() => response.destroy()));
}

/** One handler after the other, the last one for good. */
const inTurn = (...handlers: [Handler, ...Handler[]]): Handler => {
  let turn = 0;
  return (request, response) => handlers[Math.min(turn++, handlers.length - 1)]?.(request, response);
};

const get = (urls: string | readonly [string, ...string[]], more: Partial<FetchOrder> = {}, how: FetchOptions = {}) =>
  fetchVerified(
    {
      what: "model m",
      urls: typeof urls === "string" ? [urls] : urls,
      digest: { algorithm: "sha256", hex: sha256(content) },
      ...more,
    },
    part,
    { retryMs: 1, ...how },
  );
const arrived = async () => sha256(await readFile(part)) === sha256(content);
const rangesOf = (asked: readonly IncomingMessage[]) => asked.map(({ headers }) => headers.range);
const there = () =>
  stat(part).then(
    () => true,
    () => false,
  );

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-fetch-"));
  part = join(folder, "f.part");
  servers = [];
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await rm(folder, { recursive: true });
});

test("a connection that breaks again and again is resumed where it stopped, and no byte is asked for twice", async () => {
  const { url, asked } = await serve(ranged('"v1"', content, 70_000));
  await get(url);
  expect(await arrived()).toBe(true);
  const starts = rangesOf(asked).map((range) => Number(/\d+/.exec(range ?? "0")?.[0]));
  expect(starts).toEqual([0, 70_000, 140_000, 210_000, 280_000]);
});

test("another process goes on with the part that it finds, and the digest still is of the whole", async () => {
  const dying = await serve(inTurn(ranged('"v"', content, 100_000), (_, response) => response.destroy()));
  await expect(get(dying.url, {}, { attempts: 2 })).rejects.toMatchObject({ code: "fetch_failed" });
  servers.at(-1)?.removeAllListeners("request").on("request", ranged('"v"'));
  await get(dying.url);
  expect(await arrived()).toBe(true);
});

test("bytes of another version are not continued", async () => {
  const { url, asked } = await serve(inTurn(ranged('"old"', other, 1000), ranged('"new"')));
  await get(url);
  expect(asked[1]?.headers["if-range"]).toBe('"old"');
  expect(await arrived()).toBe(true);
});

test("a server that sends a range of another version all the same is not believed", async () => {
  const careless: Handler = (request, response) => {
    delete request.headers["if-range"];
    ranged('"new"')(request, response);
  };
  const { url } = await serve(inTurn(ranged('"old"', other, 1000), careless));
  await get(url);
  expect(await arrived()).toBe(true);
});

test("bytes from an address that the spec no longer names are not continued", async () => {
  await writeFile(part, other.subarray(0, 1000));
  await writeFile(`${part}.json`, JSON.stringify({ contributors: { "http://elsewhere/": '"v"' } }));
  const { url, asked } = await serve(ranged('"v"'));
  await get(url);
  expect(rangesOf(asked)).toEqual([undefined]);
  expect(await arrived()).toBe(true);
});

test.each([
  ["tells its length", 300_000],
  ["refuses to send nothing", undefined],
])("a part that is whole already is complete, where a server %s", async (_, size) => {
  const { url, asked } = await serve(ranged('"v"'));
  await writeFile(part, content);
  await writeFile(`${part}.json`, JSON.stringify({ contributors: { [url]: '"v"' } }));
  await get(url, size === undefined ? {} : { size });
  expect(asked).toHaveLength(size === undefined ? 1 : 0);
  expect(await arrived()).toBe(true);
});

test("a server without ranges is gone through again, and what is here is kept", async () => {
  const lengths: number[] = [];
  const { url } = await serve(inTurn(whole('"v"', 200_000), whole('"v"', 50_000), whole('"v"')));
  await get(url, {}, { onProgress: ({ received }) => lengths.push(received) });
  expect(await arrived()).toBe(true);
  expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
});

test.each<[string, Record<string, string | number>, number]>([
  ["another range", { "content-range": "bytes 5-299999/300000" }, 206],
  ["a range that it does not name", {}, 206],
  ["a range beyond the end", { "content-range": "bytes 1000-300000/300000" }, 206],
  ["a length that contradicts its range", { "content-range": "bytes 1000-1999/300000", "content-length": 7 }, 206],
])("a server that sends %s is not believed, and its mirror goes on", async (_, headers, status) => {
  const liar = await serve(
    inTurn(ranged('"v"', content, 1000), (_request, response) => response.writeHead(status, headers).end("lies...")),
  );
  const mirror = await serve(ranged(null));
  await get([liar.url, mirror.url]);
  expect(rangesOf(mirror.asked)).toEqual(["bytes=1000-"]);
  expect(await arrived()).toBe(true);
});

test("more bytes than announced are not taken", async () => {
  const endless: Handler = (_, response) => {
    response.writeHead(206, { "content-range": "bytes 1000-299999/300000" }).write(content.subarray(1000));
    response.end(Buffer.alloc(100_000));
  };
  const { url } = await serve(inTurn(ranged('"v"', content, 1000), endless, ranged('"v"')));
  await get(url);
  expect(await arrived()).toBe(true);
});

test("a file of another length than the one that is known is refused before it is fetched", async () => {
  const { url } = await serve(ranged('"v"'));
  await expect(get(url, { size: 5 })).rejects.toMatchObject({
    message: expect.stringMatching(/300000 bytes instead of 5/),
  });
  expect((await stat(part)).size).toBe(0);
});

test("mirrors are asked one after the other, and one that lacks the file is not asked again", async () => {
  const gone = await serve((_, response) => response.writeHead(404).end());
  const weak = await serve(inTurn(ranged('"v"', content, 1000), (_, response) => response.writeHead(503).end()));
  const good = await serve(ranged('"w"'));
  await get([gone.url, weak.url, good.url]);
  expect(gone.asked).toHaveLength(1);
  expect(rangesOf(good.asked)).toEqual(["bytes=1000-"]);
  expect(await arrived()).toBe(true);
});

test("one wrong mirror cannot spoil what another has", async () => {
  const wrong = await serve(inTurn(ranged('"v"', other, 1000), (_, response) => response.writeHead(503).end()));
  const good = await serve(ranged('"w"'));
  await get([wrong.url, good.url], {}, { attempts: 2 });
  expect(await arrived()).toBe(true);
});

test("wrong bytes are deleted, and told apart by their digest", async () => {
  const { url } = await serve(ranged('"v"', other));
  await expect(get(url)).rejects.toMatchObject({
    code: "checksum_mismatch",
    message: expect.stringContaining(sha256(other)),
  });
  expect(await there()).toBe(false);
});

test("a token goes to the host that was named and never to where that host redirects", async () => {
  const store = await serve(ranged('"v"'));
  const hub = await serve((request, response) => {
    const inner = request.url?.startsWith("/inner") === true;
    response.writeHead(302, { location: inner ? store.url : "/inner" }).end();
  });
  await get(hub.url, { bearer: "hf_sesame" });
  expect(hub.asked.map(({ headers }) => headers.authorization)).toEqual(["Bearer hf_sesame", "Bearer hf_sesame"]);
  expect(store.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
});

test("an address that is wrong fails at once, without the query in the message", async () => {
  const { url, asked } = await serve((_, response) => response.writeHead(404).end());
  const failing = get(url);
  await expect(failing).rejects.toMatchObject({ code: "fetch_failed", message: expect.stringContaining("404") });
  await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  expect(asked).toHaveLength(1);
  expect(shown("https://u:p@host/x?token=1")).toBe("https://host/x");
});

test("a server that is down for a moment is tried again; one that stays down is given up", async () => {
  const down: Handler = (_, response) => response.writeHead(503).end();
  const moment = await serve(inTurn(down, down, ranged('"v"')));
  await get(moment.url);
  expect(await arrived()).toBe(true);
  const { url } = await serve(down);
  await expect(get(url, {}, { attempts: 3 })).rejects.toMatchObject({ code: "fetch_failed" });
});

test("a connection that brings nothing is cut and resumed", async () => {
  const silent: Handler = (_, response) =>
    response.writeHead(200, { etag: '"v"', "content-length": content.length }).write(content.subarray(0, 100));
  const { url, asked } = await serve(inTurn(silent, ranged('"v"')));
  await get(url, {}, { idleMs: 200 });
  expect(rangesOf(asked)).toEqual([undefined, "bytes=100-"]);
  expect(await arrived()).toBe(true);
});

test("a body that cannot fit is refused before it is fetched, with what is free and what it needs", async () => {
  const { url } = await serve((_, response) => {
    response.writeHead(200, { "content-length": String(2 ** 52) });
    response.flushHeaders();
  });
  const words = /found [\d.]+ [GM]iB free in .*; expected [\d.]+ GiB/;
  await expect(get(url)).rejects.toMatchObject({ code: "disk_full", message: expect.stringMatching(words) });
});

test("a download keeps to its bandwidth", async () => {
  const { url } = await serve(ranged('"v"'));
  const started = performance.now();
  await get(url, { bytesPerSecond: 600_000 });
  expect(performance.now() - started).toBeGreaterThan(490);
});
