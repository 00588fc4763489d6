import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fetchToPart, shown } from "../../../hostctl/fetch.ts";

const content = randomBytes(300_000);
let folder: string;
let server: Server;
let asked: (string | undefined)[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf?token=secret`;
const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** An ordinary server with ranges; cuts the connection after `cut` bytes of an answer. */
const ranged =
  (etag: string, cut = Number.POSITIVE_INFINITY) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const match = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
    const from = range && match ? Number(range[1]) : 0;
    if (from >= content.length) {
      response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
      return;
    }
    const body = content.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { etag, "content-length": body.length });
    if (body.length <= cut) response.end(body);
    else response.write(body.subarray(0, cut), () => setImmediate(() => response.destroy()));
  };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-fetch-"));
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

test("a connection that breaks again and again is resumed where it stopped, and no byte is asked for twice", async () => {
  answer = ranged('"v1"', 70_000);
  await fetchToPart(url(), join(folder, "f.part"), { retryMs: 1 });
  expect(digest(await readFile(join(folder, "f.part")))).toBe(digest(content));
  expect(asked[0]).toBeUndefined();
  const starts = asked.slice(1).map((range) => Number(/\d+/.exec(range ?? "")?.[0]));
  expect(starts.every((start, index) => start > (starts[index - 1] ?? 0))).toBe(true);
});

test("bytes of another version are not continued", async () => {
  await writeFile(join(folder, "f.part"), randomBytes(1000));
  await writeFile(join(folder, "f.part.json"), JSON.stringify({ url: url(), validator: '"old"' }));
  answer = ranged('"new"');
  await fetchToPart(url(), join(folder, "f.part"));
  expect(digest(await readFile(join(folder, "f.part")))).toBe(digest(content));
});

test("bytes from another address are not continued", async () => {
  await writeFile(join(folder, "f.part"), randomBytes(1000));
  await writeFile(join(folder, "f.part.json"), JSON.stringify({ url: "http://elsewhere/", validator: '"v"' }));
  answer = ranged('"v"');
  await fetchToPart(url(), join(folder, "f.part"));
  expect(asked).toEqual([undefined]);
  expect(digest(await readFile(join(folder, "f.part")))).toBe(digest(content));
});

test("a part that is whole already is complete", async () => {
  await writeFile(join(folder, "f.part"), content);
  await writeFile(join(folder, "f.part.json"), JSON.stringify({ url: url(), validator: '"v"' }));
  answer = ranged('"v"');
  await fetchToPart(url(), join(folder, "f.part"));
  expect(digest(await readFile(join(folder, "f.part")))).toBe(digest(content));
});

test("an address that is wrong fails at once, without the query in the message", async () => {
  answer = (_, response) => response.writeHead(404).end();
  const failing = fetchToPart(url(), join(folder, "f.part"));
  await expect(failing).rejects.toMatchObject({ code: "fetch_failed", message: expect.stringContaining("404") });
  await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  expect(asked).toHaveLength(1);
  expect(shown("https://u:p@host/x?token=1")).toBe("https://host/x");
});

test("a server that is down for a moment is tried again; one that stays down is given up", async () => {
  let failures = 2;
  answer = (request, response) => (failures-- > 0 ? response.writeHead(503).end() : ranged('"v"')(request, response));
  await fetchToPart(url(), join(folder, "f.part"), { retryMs: 1 });
  failures = Number.POSITIVE_INFINITY;
  await expect(fetchToPart(url(), join(folder, "g.part"), { retryMs: 1, attempts: 3 })).rejects.toMatchObject({
    code: "fetch_failed",
  });
});

test("a connection that brings nothing is cut and resumed", async () => {
  let first = true;
  answer = (request, response) => {
    if (!first) return ranged('"v"')(request, response);
    first = false;
    response.writeHead(200, { etag: '"v"', "content-length": content.length }).write(content.subarray(0, 100));
  };
  await fetchToPart(url(), join(folder, "f.part"), { retryMs: 1, idleMs: 200 });
  expect(digest(await readFile(join(folder, "f.part")))).toBe(digest(content));
});

test("a body that cannot fit is refused before it is fetched", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "content-length": String(2 ** 52) });
    response.flushHeaders();
  };
  await expect(fetchToPart(url(), join(folder, "f.part"))).rejects.toMatchObject({ code: "disk_full" });
});
