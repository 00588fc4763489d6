import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fetchFromPeers } from "../../../../hostctl/transfer/peers.ts";
import { listPieces, pieceBytes } from "../../../../hostctl/transfer/pieces.ts";
import { Scratch } from "../scratch.ts";

const key = "rollout-key-7";
const digest = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const content = Buffer.concat([Buffer.from("GGUF"), randomBytes(3 * pieceBytes)]);
const sha256 = digest(content);

/** A host that has verified the file, and shares it. */
async function sharing(): Promise<{ host: Scratch; url: string }> {
  const host = await Scratch.make({ lmstudio: false });
  onTestFinished(() => host[Symbol.asyncDispose]());
  const path = join(host.models, "big.gguf");
  await writeFile(path, content);
  await host.must("converge", "model-file", host.model("alpha", { source: { path }, sha256 }));
  const running = host.start("share", "", { host: "127.0.0.1", port: 0, keySha256: digest(key) });
  await expect.poll(running.said, { timeout: 20_000 }).toMatch(/port \d+/);
  return { host, url: `http://127.0.0.1:${/port (\d+)/.exec(running.said())?.[1]}` };
}

/** A peer that says what it likes. */
async function lying(list: unknown, bytes: Buffer): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url?.endsWith("/pieces")) return void response.end(JSON.stringify(list));
    const [start = 0, end = 0] = (request.headers.range?.match(/\d+/g) ?? []).map(Number);
    response.writeHead(206).end(bytes.subarray(start, end + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a host gets a file from another one that has it, and nobody without the key does", async () => {
  const { url } = await sharing();
  const receiver = await Scratch.make({ lmstudio: false });
  onTestFinished(() => receiver[Symbol.asyncDispose]());
  const source = { peers: [url], file: "big.gguf" };
  const model = receiver.model("alpha", { source, sha256, credential: key });
  expect((await receiver.run("converge", "model-file", { ...model, credential: "wrong" })).error?.message).toMatch(
    /401/,
  );
  await receiver.must("converge", "model-file", model);
  expect(await readFile(join(receiver.home, ".lmstack/store/sha256", sha256))).toEqual(content);
  const ask = (path: string, method = "GET") =>
    fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${key}` } }).then(({ status }) => status);
  expect(await ask(`/sha256/${"0".repeat(64)}`)).toBe(404);
  expect(await ask("/../../etc/passwd")).toBe(404);
  expect(await ask(`/sha256/${sha256}`, "DELETE")).toBe(405);
});

test("a share for one download has that file only, and takes the next free port", async () => {
  const { host, url } = await sharing();
  const taken = Number(new URL(url).port);
  const only = ["0".repeat(64)];
  const share = { host: "127.0.0.1", port: taken, ports: 20, keySha256: digest(key), only };
  const running = host.start("share", "", share);
  await expect.poll(running.said, { timeout: 20_000 }).toMatch(/port \d+/);
  const port = Number(/port (\d+)/.exec(running.said())?.[1]);
  const headers = { authorization: `Bearer ${key}` };
  expect([port > taken, (await fetch(`http://127.0.0.1:${port}/sha256/${sha256}`, { headers })).status]).toEqual([
    true,
    404,
  ]);
});

test("a host sends no faster than it may, to all together", async () => {
  const { host } = await sharing();
  const share = { host: "127.0.0.1", port: 0, keySha256: digest(key), bytesPerSecond: 16 * pieceBytes };
  const running = host.start("share", "", share);
  await expect.poll(running.said, { timeout: 20_000 }).toMatch(/port \d+/);
  const url = `http://127.0.0.1:${/port (\d+)/.exec(running.said())?.[1]}/sha256/${sha256}`;
  const started = performance.now();
  const ask = () => fetch(url, { headers: { authorization: `Bearer ${key}` } }).then((answer) => answer.bytes());
  await Promise.all([ask(), ask()]);
  // Two files of three pieces; what is in the buffers is not waited for.
  expect(performance.now() - started).toBeGreaterThan(200);
});

test("one bad peer cannot poison a file, whether it lies with its pieces or with its list", async () => {
  const folder = await Scratch.make({ lmstudio: false });
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const good = join(folder.models, "good");
  const bad = join(folder.models, "bad");
  const other = Buffer.concat([content.subarray(0, pieceBytes), randomBytes(2 * pieceBytes + 4)]);
  await mkdir(folder.models, { recursive: true });
  await writeFile(good, content);
  await writeFile(bad, other);
  const right = await listPieces(good);
  const honest = await lying(right, content);
  const part = join(folder.models, "part");
  const order = { what: "model m", sha256 };
  // Its list is right, its bytes are not.
  await fetchFromPeers({ ...order, peers: [await lying(right, other), honest] }, part);
  expect(await readFile(part)).toEqual(content);
  // List and bytes agree with each other, and are of another file; there are even more of its kind.
  const wrong = await listPieces(bad);
  const peers = [await lying(wrong, other), await lying(wrong, other), honest];
  await fetchFromPeers({ ...order, peers }, `${part}2`);
  expect(await readFile(`${part}2`)).toEqual(content);
  await expect(fetchFromPeers({ ...order, peers: peers.slice(0, 2) }, `${part}3`)).rejects.toMatchObject({
    code: "fetch_failed",
    message: expect.stringMatching(/not the one that was asked for/),
  });
});
