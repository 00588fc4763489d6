import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Scratch } from "../scratch.ts";

const content = Buffer.concat([Buffer.from("GGUF"), randomBytes(3_000_000)]);
const sha256 = createHash("sha256").update(content).digest("hex");
let server: Server;
let starts: number[];
let trickle: boolean;

/** Sends slowly while `trickle`, and honours ranges. */
beforeEach(async () => {
  starts = [];
  trickle = true;
  server = createServer((request, response) => {
    const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
    starts.push(from);
    const range = from > 0 ? { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag: '"v"', ...range, "content-length": content.length - from });
    let at = from;
    const timer = setInterval(() => {
      const size = trickle ? 20_000 : content.length;
      response.write(content.subarray(at, at + size));
      at += size;
      if (at < content.length) return;
      clearInterval(timer);
      response.end();
    }, 20);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.gguf`;

test("a download outlives the hostctl that asked for it, and the next one attaches to it", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const document = host.model("alpha", { source: { url: url() }, sha256 });
  const first = host.start("converge", "model-file", document);
  await expect.poll(() => starts.length, { timeout: 20_000 }).toBe(1);
  first.child.kill("SIGKILL");
  await first.answer;
  const second = host.start("converge", "model-file", document);
  await expect.poll(() => second.said(), { timeout: 20_000 }).toContain("running already");
  trickle = false;
  expect(await second.answer).toMatchObject({ ok: true });
  expect(starts).toEqual([0]);
  expect(await readFile(join(host.home, ".lmstack/downloads/alpha.gguf"))).toEqual(content);
  expect((await host.files()).filter((path) => /part|job|tmp/.test(path))).toEqual([]);
  await host.must("remove", "model-file", document);
  expect((await host.files()).filter((path) => path.includes("downloads/"))).toEqual([]);
});

test("a download whose job was killed goes on where it stopped", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const document = host.model("alpha", { source: { url: url() }, sha256 });
  const running = host.start("converge", "model-file", document);
  const part = join(host.home, ".lmstack/downloads/alpha.gguf.part");
  await expect
    .poll(
      () =>
        readFile(part).then(
          (bytes) => bytes.length > 200_000,
          () => false,
        ),
      { timeout: 20_000 },
    )
    .toBe(true);
  for (const pid of await host.processes("download")) process.kill(pid, "SIGKILL");
  trickle = false;
  expect(await running.answer).toMatchObject({ ok: true });
  expect(starts).toHaveLength(2);
  expect(starts[1]).toBeGreaterThan(200_000);
});

test("a download with another checksum is deleted, and never gets its final name", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  trickle = false;
  const wrong = host.model("alpha", { source: { url: url() }, sha256: "f".repeat(64) });
  const answer = await host.run("converge", "model-file", wrong);
  expect(answer.error).toMatchObject({ code: "checksum_mismatch", message: expect.stringContaining(sha256) });
  expect((await host.files()).filter((path) => /downloads\/.*gguf(\.part)?$/.test(path))).toEqual([]);
});
