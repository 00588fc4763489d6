import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ModelDocument } from "../../../../infra/spec/host-documents.ts";
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

/** The name that a model has for its download. */
async function named(host: Scratch, id: string): Promise<string> {
  const name = (await host.files()).find(
    (path) => path.startsWith(`.lmstack/downloads/${id}/`) && path.endsWith(".gguf"),
  );
  return join(host.home, name ?? "none");
}

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
  expect(await readFile(await named(host, "alpha"))).toEqual(content);
  expect((await host.files()).filter((path) => /part|job|tmp/.test(path))).toEqual([]);
  await host.must("remove", "model-file", document);
  expect((await host.files()).filter((path) => /downloads\/|sha256\//.test(path))).toEqual([]);
});

test("a download whose job was killed goes on where it stopped", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const document = host.model("alpha", { source: { url: url() }, sha256 });
  const running = host.start("converge", "model-file", document);
  const part = join(host.home, `.lmstack/downloads/${sha256}.part`);
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
  expect((await host.files()).filter((path) => /(downloads\/.*(gguf|part)|store\/.*\/.*)$/.test(path))).toEqual([]);
});

test("a file lies on the disk once, whatever the number of models that name it, and goes with the last of them", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  trickle = false;
  const [alpha, beta] = ["alpha", "beta"].map((id) => host.model(id, { source: { url: url() }, sha256 }));
  await host.must("converge", "model-file", alpha as object);
  await host.must("converge", "model-file", beta as object);
  expect(starts).toEqual([0]);
  const stored = join(host.home, ".lmstack/store/sha256", sha256);
  expect((await stat(stored)).nlink).toBe(3);
  await host.must("remove", "model-file", alpha as object);
  expect((await stat(stored)).nlink).toBe(2);
  await host.must("remove", "model-file", beta as object);
  await expect(stat(stored)).rejects.toThrow();
});

test("two models that want the same file at once wait for one download", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const [alpha, beta] = ["alpha", "beta"].map((id) =>
    host.start("converge", "model-file", host.model(id, { source: { url: url() }, sha256 })),
  );
  for (const one of [alpha, beta]) await expect.poll(() => one?.said(), { timeout: 20_000 }).toMatch(/of 2\.9 MiB/);
  trickle = false;
  expect(await alpha?.answer).toMatchObject({ ok: true });
  expect(await beta?.answer).toMatchObject({ ok: true });
  expect(starts).toEqual([0]);
  const [one, other] = await Promise.all(["alpha", "beta"].map(async (id) => stat(await named(host, id))));
  expect(one?.ino).toBe(other?.ino);
});

test("a model that goes takes no download away from another that waits for the same file", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const [alpha, beta] = ["alpha", "beta"].map((id) => host.model(id, { source: { url: url() }, sha256 })) as [
    ModelDocument,
    ModelDocument,
  ];
  const first = host.start("converge", "model-file", alpha);
  const second = host.start("converge", "model-file", beta);
  for (const one of [first, second]) await expect.poll(() => one.said(), { timeout: 20_000 }).toMatch(/of 2\.9 MiB/);
  first.child.kill("SIGKILL");
  await first.answer;
  await host.must("remove", "model-file", alpha);
  trickle = false;
  expect(await second.answer).toMatchObject({ ok: true });
  expect(starts).toEqual([0]);
});

test("a download of an earlier lmstack is taken into the store without being fetched again", async () => {
  await using host = await Scratch.make({ lmstudio: false });
  const name = join(host.home, ".lmstack/downloads/alpha.gguf");
  await mkdir(join(name, ".."), { recursive: true });
  await writeFile(name, content);
  await host.must("converge", "model-file", host.model("alpha", { source: { url: url() }, sha256 }));
  expect(starts).toEqual([]);
  expect((await stat(join(host.home, ".lmstack/store/sha256", sha256))).ino).toBe((await stat(name)).ino);
});

describe("a hub", () => {
  let hub: Server;
  let told: Record<string, string>;
  let authorizations: (string | undefined)[];
  beforeEach(async () => {
    trickle = false;
    authorizations = [];
    told = { "x-linked-etag": `"${sha256}"`, "x-linked-size": String(content.length) };
    hub = createServer((request, response) => {
      authorizations.push(request.headers.authorization);
      if (request.headers.authorization === undefined) response.writeHead(401).end();
      else response.writeHead(302, { location: url(), ...told }).end();
    });
    await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => new Promise<void>((resolve) => hub.close(() => resolve())));
  const model = (host: Scratch, changes: object = {}) =>
    host.model("alpha", {
      source: { url: `http://127.0.0.1:${(hub.address() as AddressInfo).port}/o/r/resolve/main/m.gguf`, hub: true },
      credential: "hf_sesame",
      ...changes,
    });

  test("tells the checksum, is not asked twice, and its token stays out of every file, argument and message", async () => {
    await using host = await Scratch.make({ lmstudio: false });
    const answer = await host.must("converge", "model-file", model(host));
    expect(await readFile(join(host.home, ".lmstack/store/sha256", sha256))).toEqual(content);
    expect(new Set(authorizations)).toEqual(new Set(["Bearer hf_sesame"]));
    const asked = authorizations.length;
    await host.must("converge", "model-file", model(host));
    expect(authorizations).toHaveLength(asked);
    expect(JSON.stringify(answer)).not.toContain("sesame");
    for (const path of (await host.files()).filter((name) => name.startsWith(".lmstack/")))
      expect(await readFile(join(host.home, path), "utf8").catch(() => "")).not.toContain("sesame");
  });

  test.each([
    ["another checksum than the spec", { sha256: "f".repeat(64) }, {}, /the hub says sha256/],
    ["no checksum at all", {}, { "x-linked-etag": '"no-digest"' }, /tells no sha256/],
    ["a locked door", { credential: undefined }, {}, /401/],
  ])("that tells %s is refused before anything is fetched", async (_, changes, headers, words) => {
    await using host = await Scratch.make({ lmstudio: false });
    told = { ...told, ...headers };
    const { ok, error } = await host.run("converge", "model-file", model(host, changes));
    expect([ok, error?.message]).toEqual([false, expect.stringMatching(words)]);
    expect(starts).toEqual([]);
  });
});
