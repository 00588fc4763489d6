import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { json, listen, open, send, startUpstream, until } from "./harness.ts";

const program = join(import.meta.dirname, "../../../proxy/main.ts");
let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-handover-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
  readonly exit: Promise<unknown>;
}

const configure = async (config: object) => {
  const file = join(folder, "proxy.json");
  await writeFile(`${file}.new`, JSON.stringify(config));
  await rename(`${file}.new`, file);
  return file;
};

function start(...args: string[]): Started {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, TMPDIR: folder } });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const texts = (rest + chunk).split("\n");
    rest = texts.pop() ?? "";
    lines.push(...texts.filter((text) => text.startsWith("{")).map((text) => JSON.parse(text)));
  });
  child.stderr.resume();
  return { child, lines, exit: once(child, "exit") };
}

const says = (started: Started, words: string) => () => started.lines.some(({ msg }) => String(msg).includes(words));
const freePort = async () => {
  const server = http.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** Streams that stay open until told to end, and answers that come at once. */
async function upstreamWithStreams() {
  const ends: (() => void)[] = [];
  const upstream = await startUpstream((response, { body }) => {
    if (!body.includes("stream")) return response.end("{}");
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: {}\n\n");
    ends.push(() => response.end("data: [DONE]\n\n"));
    return undefined;
  });
  return { upstream, ends };
}

const adminSocketOf = (started: Started) =>
  started.lines.find(({ adminSocket }) => adminSocket !== undefined)?.adminSocket as string;
const health = async (started: Started) =>
  JSON.parse((await send(0, "/healthz", { socketPath: adminSocketOf(started) })).text) as Record<string, unknown>;

describe.runIf(process.platform === "linux")("a newcomer on the same port", () => {
  it("takes over: its predecessor stops listening, finishes its streams, and they count against the slots", async () => {
    const { upstream, ends } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const file = await configure({ listen: { port }, upstream: upstream.url, models: { m: { slots: 2 } } });
    const first = start("--config", file);
    await until("the first serves", says(first, "listening"));
    const stream = await open(port, "/v1/responses", json({ model: "m", stream: true }));
    stream.resume();
    const second = start("--config", file);
    await until("the second serves", says(second, "listening"));
    expect(await health(first)).toMatchObject({ listening: false });
    expect(await health(second)).toMatchObject({ listening: true });
    const claimed = /lmstack_claimed\{model="m"\} 1/;
    expect((await send(0, "/metrics", { socketPath: adminSocketOf(second) })).text).toMatch(claimed);
    first.child.kill("SIGTERM");
    await until("the first drains", says(first, "draining"));
    expect((await send(0, "/metrics", { socketPath: adminSocketOf(second) })).text).toMatch(claimed);
    ends[0]?.();
    await once(stream, "end");
    await first.exit;
    expect((await send(port, "/v1/responses", json({ model: "m" }))).status).toBe(200);
    const metrics = async () => (await send(0, "/metrics", { socketPath: adminSocketOf(second) })).text;
    expect(await metrics()).toMatch(/lmstack_claimed\{model="m"\} 0/);
  });

  it("hears of models that are held", async () => {
    const { upstream } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const file = await configure({ listen: { port }, upstream: upstream.url, models: { "a/b": {} } });
    const first = start("--config", file);
    await until("the first serves", says(first, "listening"));
    const post = (started: Started, path: string) =>
      send(0, path, { method: "POST", socketPath: adminSocketOf(started) });
    const held = await post(first, "/-/models/a/b/hold?seconds=60");
    expect(JSON.parse(held.text)).toMatchObject({ model: "a/b", running: 0, queued: 0 });
    const second = start("--config", file);
    await until("the second serves", says(second, "listening"));
    let answered = false;
    const waiting = send(port, "/v1/responses", json({ model: "a/b" })).then((answer) => {
      answered = true;
      return answer;
    });
    const queued = async () =>
      /lmstack_queued\{model="a\/b"\} 1/.test((await send(0, "/metrics", { socketPath: adminSocketOf(second) })).text);
    while (!(await queued()));
    expect(answered).toBe(false);
    await post(second, `/-/models/${encodeURIComponent("a/b")}/resume`);
    expect((await waiting).status).toBe(200);
  });

  it("that dies gives the port back to its predecessor", async () => {
    const { upstream } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const file = await configure({ listen: { port }, upstream: upstream.url });
    const first = start("--config", file);
    await until("the first serves", says(first, "listening"));
    const second = start("--config", file);
    await until("the second serves", says(second, "listening"));
    second.child.kill("SIGKILL");
    await second.exit;
    await until("the first listens again", says(first, "listens again"));
    expect((await send(port, "/v1/responses", json({ model: "m" }))).status).toBe(200);
    expect(await readdir(folder)).toContain("proxy.json");
  });
});

describe("a parent that holds the socket", () => {
  it("replaces the serving process without refusing or cutting anybody", async () => {
    const { upstream, ends } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const file = await configure({ listen: { port }, upstream: upstream.url });
    const parent = start("hold", "--config", file);
    const serving = () => parent.lines.filter(({ msg }) => msg === "serving").length;
    await until("it serves", () => serving() === 1);
    const stream = await open(port, "/v1/responses", json({ model: "m", stream: true }));
    stream.resume();
    let going = true;
    const statuses = new Set<number>();
    const knocking = (async () => {
      while (going) statuses.add((await send(port, "/v1/responses", json({ model: "m" }))).status);
    })();
    parent.child.kill("SIGHUP");
    await until("its successor serves", () => serving() === 2);
    ends[0]?.();
    await once(stream, "end");
    going = false;
    await knocking;
    expect([...statuses]).toEqual([200]);
    parent.child.kill("SIGTERM");
    await parent.exit;
  });

  it("starts the serving process again when it was killed, and loses no connection meanwhile", async () => {
    const { upstream } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const file = await configure({ listen: { port }, upstream: upstream.url });
    const parent = start("hold", "--config", file);
    await until("it serves", says(parent, "serving"));
    const { pid } = parent.lines.find(({ msg }) => msg === "serving") as { pid: number };
    process.kill(pid, "SIGKILL");
    await until("it was seen to end", says(parent, "ended by itself"));
    expect((await send(port, "/v1/responses", json({ model: "m" }))).status).toBe(200);
    parent.child.kill("SIGTERM");
    await parent.exit;
  });
});

describe("a changed configuration", () => {
  it("is taken while the proxy runs, and a wrong one is not", async () => {
    const { upstream } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const base = { listen: { port }, upstream: upstream.url };
    const file = await configure(base);
    const proxy = start("--config", file);
    await until("it serves", says(proxy, "listening"));
    await configure({ ...base, cors: ["https://page.example"] });
    await until("it was read again", says(proxy, "read again"));
    const ask = async () =>
      (await send(port, "/v1/models", { headers: { origin: "https://page.example" } })).headers[
        "access-control-allow-origin"
      ];
    expect(await ask()).toBe("https://page.example");
    await configure({ ...base, colour: "blue" });
    proxy.child.kill("SIGHUP");
    await until("it was refused", says(proxy, "the old one stays"));
    expect(await ask()).toBe("https://page.example");
    expect(JSON.parse((await send(port, "/readyz")).text).problem).toContain("colour");
  });

  it("changes keys without losing a request that had begun", async () => {
    const { createHash } = await import("node:crypto");
    const entry = (id: string) => ({ id, sha256: createHash("sha256").update(`key-${id}`).digest("hex") });
    const { upstream, ends } = await upstreamWithStreams();
    await using _ = upstream;
    const port = await freePort();
    const keysFile = join(folder, "keys.json");
    await writeFile(keysFile, JSON.stringify({ keys: [entry("old")] }), { mode: 0o600 });
    const file = await configure({ listen: { port }, upstream: upstream.url, keysFile: "keys.json" });
    const proxy = start("--config", file);
    await until("it serves", says(proxy, "listening"));
    const as = (id: string) => ({ ...json({ model: "m" }), headers: { authorization: `Bearer key-${id}` } });
    const stream = await open(port, "/v1/responses", { ...as("old"), body: '{"model":"m","stream":true}' });
    stream.resume();
    await writeFile(`${keysFile}.new`, JSON.stringify({ keys: [entry("new")] }), { mode: 0o600 });
    await rename(`${keysFile}.new`, keysFile);
    await until("it was read again", says(proxy, "read again"));
    expect((await send(port, "/v1/responses", as("old"))).status).toBe(401);
    expect((await send(port, "/v1/responses", as("new"))).status).toBe(200);
    ends[0]?.();
    await once(stream, "end");
    expect(stream.complete).toBe(true);
  });
});
