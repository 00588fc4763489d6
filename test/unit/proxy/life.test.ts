import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { proxyConfigSchema } from "../../../infra/spec/proxy-config.ts";
import { parseConfig } from "../../../proxy/config.ts";
import { json, open, send, startTestProxy, startUpstream, until } from "./harness.ts";

const program = join(import.meta.dirname, "../../../proxy/main.ts");
const chat = json({ model: "m", messages: [], stream: true });
const eventStream = { "content-type": "text/event-stream" };

describe("draining", () => {
  it("lets a running answer end, closes idle connections and takes nothing new", async () => {
    let answering: http.ServerResponse | undefined;
    await using upstream = await startUpstream((response, request) => {
      if (request.url === "/v1/models") return void response.end("{}");
      answering = response.writeHead(200, eventStream);
      answering.write("data: one\n\n");
    });
    await using proxy = await startTestProxy({ upstream: upstream.url, drainSeconds: 30 });
    const agent = new http.Agent({ keepAlive: true });
    const idle = await open(proxy.port, "/v1/models", { agent });
    const idleClosed = once(idle.socket, "close");
    idle.resume();
    await once(idle, "end");
    const running = await open(proxy.port, "/v1/chat/completions", chat);
    let text = "";
    running.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    let drained = false;
    const draining = proxy.drain().then(() => {
      drained = true;
    });
    await idleClosed;
    await expect(send(proxy.port, "/healthz")).rejects.toThrow("ECONNREFUSED");
    expect(drained).toBe(false);
    answering?.end("data: two\n\n");
    await draining;
    expect(text).toBe("data: one\n\ndata: two\n\n");
    agent.destroy();
  });

  it("still answers a connection that was accepted before and asks after", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url, drainSeconds: 30 });
    const client = net.connect(proxy.port, "127.0.0.1");
    await once(client, "connect");
    await send(proxy.port, "/healthz");
    const draining = proxy.drain();
    client.write("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = "";
    client.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    await once(client, "end");
    client.end();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(text.toLowerCase()).toContain("connection: close");
    await draining;
  });

  it("cuts what is left when its time is over", async () => {
    await using upstream = await startUpstream((response) => response.writeHead(200, eventStream).flushHeaders());
    await using proxy = await startTestProxy({ upstream: upstream.url, drainSeconds: 0.05 });
    const answer = await open(proxy.port, "/v1/chat/completions", chat);
    answer.resume();
    await Promise.all([expect(once(answer, "end")).rejects.toThrow(), proxy.drain()]);
    expect(proxy.log.some((line) => line.connections === 1)).toBe(true);
  });
});

describe("the admin socket", () => {
  it("is its owner's alone, answers without a key, and goes with the process", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    expect((await stat(proxy.adminSocket)).mode & 0o777).toBe(0o600);
    const answer = await send(0, "/healthz", { socketPath: proxy.adminSocket });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ status: "ok", listening: true, pid: process.pid });
    await proxy.drain();
    expect(await readdir(proxy.folder)).toEqual([]);
  });
});

describe("readiness", () => {
  const catalog = (...ids: string[]) => ({ models: ids.map((id) => ({ key: id, loaded_instances: [{ id }] })) });

  it.each([
    ["every declared model is loaded", catalog("a", "b"), 200, "All declared models are loaded"],
    ["one is missing", catalog("a", "other"), 503, "Not loaded: b"],
    ["only a second instance is there", catalog("a", "b:2"), 503, "Not loaded: b"],
    ["LM Studio is too old to say", { error: "Unexpected endpoint" }, 503, "too old"],
  ])("when %s", async (_name, answer, status, reason) => {
    await using upstream = await startUpstream((response) => response.end(), answer);
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { a: {}, b: {}, "*": {} } });
    const ready = await send(proxy.port, "/readyz");
    expect(ready.status).toBe(status);
    expect(JSON.parse(ready.text).reason).toContain(reason);
  });

  it("when LM Studio is down", async () => {
    const upstream = await startUpstream(() => {});
    await upstream[Symbol.asyncDispose]();
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { a: {} } });
    const ready = await send(proxy.port, "/readyz");
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text)).toMatchObject({ ready: false, reason: expect.stringContaining(upstream.url) });
  });
});

describe("the program", () => {
  let folder: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lmstack-proxy-test-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  const run = (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, TMPDIR: folder } });
    children.push(child);
    const output = { text: "" };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output.text += chunk;
      });
    }
    return { child, output, exit: once(child, "exit") as Promise<[number | null]> };
  };
  const serve = async (config: object) => {
    await writeFile(join(folder, "proxy.json"), JSON.stringify(config));
    const started = run("--config", join(folder, "proxy.json"));
    await until("it listens", () => started.output.text.includes('"listening"'));
    const line = started.output.text.split("\n").find((text) => text.includes('"listening"')) ?? "{}";
    return { ...started, port: JSON.parse(line).address.port as number };
  };
  const config = { listen: { port: 0 }, upstream: "http://127.0.0.1:9" };

  it("finds its own process healthy, ends with 0 on SIGTERM and leaves only its configuration", async () => {
    const { child, exit } = await serve(config);
    expect((await run("health").exit)[0]).toBe(0);
    child.kill("SIGTERM");
    expect((await exit)[0]).toBe(0);
    expect((await readdir(folder)).filter((name) => name.endsWith(".sock"))).toEqual([]);
    const health = run("health");
    expect((await health.exit)[0]).toBe(1);
    expect(health.output.text).toContain("does not answer");
  });

  it("removes the sockets of processes that were killed, and only those", async () => {
    const first = await serve(config);
    first.child.kill("SIGKILL");
    await first.exit;
    const second = await serve(config);
    await serve(config);
    const sockets = (await readdir(folder)).filter((name) => name.endsWith(".sock"));
    expect(sockets).toHaveLength(2);
    second.child.kill("SIGTERM");
    await second.exit;
  });

  it.runIf(process.platform === "linux")("shares its port with its successor", async () => {
    const first = await serve(config);
    const second = await serve({ ...config, listen: { port: first.port } });
    expect(second.port).toBe(first.port);
    first.child.kill("SIGTERM");
    await first.exit;
    expect((await send(first.port, "/healthz")).status).toBe(200);
  });

  it("lists every fault of a configuration, with its key, and exits with 2", async () => {
    const bad = { listen: { host: "0.0.0.0", port: "x" }, upstream: "https://a", limits: { bodyBytes: 1 }, colour: 1 };
    await writeFile(join(folder, "proxy.json"), JSON.stringify(bad));
    const { output, exit } = run("--config", join(folder, "proxy.json"));
    expect((await exit)[0]).toBe(2);
    for (const key of ["listen.port", "upstream", "limits.bodyBytes", "colour"]) expect(output.text).toContain(key);
  });

  it("says how it is called, and refuses a call it does not know", async () => {
    const help = run("--help");
    expect((await help.exit)[0]).toBe(0);
    expect(help.output.text).toContain("--config FILE");
    for (const args of [[], ["--what"], ["health", "--config", "x"], ["--config", join(folder, "absent.json")]]) {
      const wrong = run(...args);
      expect((await wrong.exit)[0]).toBe(2);
      expect(wrong.output.text).not.toContain("    at ");
    }
  });

  it("says who has its port", async () => {
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as net.AddressInfo;
    await writeFile(join(folder, "proxy.json"), JSON.stringify({ ...config, listen: { port } }));
    const { output, exit } = run("--config", join(folder, "proxy.json"));
    expect((await exit)[0]).toBe(2);
    expect(output.text).toContain(`127.0.0.1:${port} (EADDRINUSE)`);
    taken.close();
  });
});

it("the configuration's defaults are the design's", () => {
  const text = '{"upstream":"http://127.0.0.1:8081"}';
  expect(parseConfig(text, "proxy.json")).toEqual({
    listen: { host: "127.0.0.1", port: 8080 },
    upstream: "http://127.0.0.1:8081",
    instances: {},
    models: { "*": { thinking: "off" } },
    noThink: "auto",
    keys: [],
    allowAnonymous: false,
    limits: {
      bodyBytes: 33_554_432,
      queue: 64,
      queueSeconds: 600,
      headerBytes: 32_768,
      headerSeconds: 15,
      bodySeconds: 30,
      readerSeconds: 300,
      connections: 4096,
      wrongKeys: 10,
    },
    cors: [],
    captures: 0,
    heartbeatSeconds: 10,
    drainSeconds: 600,
    codexTools: "translate",
  });
  expect(proxyConfigSchema.safeParse({}).success).toBe(false);
});
