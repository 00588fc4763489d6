import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { json, listen, open, raw, send, startTestProxy, startUpstream, until } from "./harness.ts";

const chat = json({ model: "m", messages: [{ role: "user", content: "x" }], stream: true });
const eventStream = { "content-type": "text/event-stream" };

describe("an answer", () => {
  it("reaches the client byte by byte as it is made, its head before the first of them", async () => {
    let answering: http.ServerResponse | undefined;
    await using upstream = await startUpstream((response) => {
      answering = response.writeHead(200, eventStream);
      response.flushHeaders();
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await open(proxy.port, "/v1/chat/completions", chat);
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    for (const event of ["data: one\n\n", "data: tw", "o\n\n"]) {
      answering?.write(event);
      const [chunk] = (await once(answer, "data")) as [Buffer];
      expect(chunk.toString()).toBe(event);
    }
    answering?.end();
    await once(answer, "end");
  });

  it("waits for a client that does not read, and loses nothing by it", async () => {
    const whole = randomBytes(24 * 1024 * 1024);
    let written = 0;
    await using upstream = await startUpstream((response) => {
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": whole.length });
      const push = () => {
        while (written < whole.length) {
          const chunk = whole.subarray(written, written + 65_536);
          written += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", push);
        }
        response.end();
      };
      push();
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await open(proxy.port, "/v1/models");
    answer.pause();
    let before = -1;
    // Nothing is read here, so the flow stands still as soon as all buffers on the way are full.
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(written).toBeLessThan(whole.length * 0.9);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(whole)).toBe(true);
  });

  it("keeps its own fields, in order and with duplicates, without those of the connection", async () => {
    await using upstream = await startUpstream((response) => {
      response.writeHead(201, [
        ...["Content-Type", "text/plain", "Set-Cookie", "a=1", "set-cookie", "b=2", "X-Name", "\u00e9"],
        ...["Connection", "keep-alive, X-Hop", "X-Hop", "secret", "Keep-Alive", "timeout=5", "Proxy-Authenticate", "x"],
      ]);
      response.end("made");
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const { status, text, rawHeaders, headers } = await send(proxy.port, "/v1/models");
    expect([status, text]).toEqual([201, "made"]);
    expect(rawHeaders.slice(0, 8)).toEqual([
      "Content-Type",
      "text/plain",
      "Set-Cookie",
      "a=1",
      "set-cookie",
      "b=2",
      "X-Name",
      "\u00e9",
    ]);
    expect(headers["x-hop"]).toBeUndefined();
    expect(headers["proxy-authenticate"]).toBeUndefined();
    expect(headers["x-lmstack-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("has no body for HEAD and keeps the length that GET would have", async () => {
    await using upstream = await startUpstream((response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 11 }).end();
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, "/v1/models", { method: "HEAD" });
    expect([answer.status, answer.headers["content-length"], answer.text]).toEqual([200, "11", ""]);
  });

  it("comes on a connection that serves the next request too", async () => {
    await using upstream = await startUpstream((response) => response.end("ok"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const connections = new Set<number | undefined>();
    for (let i = 0; i < 3; i++) {
      const answer = await open(proxy.port, "/v1/chat/completions", { ...chat, agent });
      connections.add(answer.socket.localPort);
      answer.resume();
      await once(answer, "end");
    }
    agent.destroy();
    expect(connections.size).toBe(1);
  });
});

describe("a request", () => {
  it("arrives byte for byte, framed anew, when no rule names its endpoint", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const body = '{ "input":"x",\n"model" : "m", "x":1.0 }';
    await send(proxy.port, "/v1/embeddings?a=%2F&b", { body, headers: { "transfer-encoding": "chunked" } });
    expect(upstream.seen[0]).toMatchObject({ method: "POST", url: "/v1/embeddings?a=%2F&b", body });
  });

  it("loses the fields of its connection, and those it names as such", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await send(proxy.port, "/v1/chat/completions", {
      ...chat,
      headers: {
        connection: "close, x-hop, content-length",
        "x-hop": "1",
        te: "trailers",
        "proxy-authorization": "x",
        "x-stays": "2",
      },
    });
    const headers = upstream.seen[0]?.headers ?? {};
    for (const name of ["x-hop", "te", "proxy-authorization"]) expect(headers[name]).toBeUndefined();
    expect(headers["x-stays"]).toBe("2");
    expect(headers.host).toBe(new URL(upstream.url).host);
    expect(headers["content-length"]).toBe(String(upstream.seen[0]?.body.length));
  });

  it("that expects 100-continue gets it, and LM Studio never hears of it", async () => {
    await using upstream = await startUpstream((response) => response.end('{"ok":true}'));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const text = await raw(
      proxy.port,
      "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n{}",
    );
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(upstream.seen[0]?.headers.expect).toBeUndefined();
  });

  it("that is uploaded to a slow reader is taken no faster than that reader reads", async () => {
    let taken = 0;
    const reader = net.createServer((socket) => socket.pause());
    const port = await listen(reader);
    const sockets: net.Socket[] = [];
    reader.on("connection", (socket) => sockets.push(socket));
    await using proxy = await startTestProxy({ upstream: `http://127.0.0.1:${port}` });
    const client = net.connect(proxy.port, "127.0.0.1").on("error", () => {});
    const size = 64 * 1024 * 1024;
    client.write(`POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
    const chunk = Buffer.alloc(65_536, 32);
    while (taken < size && client.write(chunk)) taken += chunk.length;
    let before = -1;
    while (before !== client.bytesWritten) {
      before = client.bytesWritten;
      while (taken < size && client.writableLength < chunk.length) {
        client.write(chunk);
        taken += chunk.length;
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(client.bytesWritten - client.writableLength).toBeLessThan(size / 2);
    client.destroy();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => reader.close(resolve));
  });
});

describe("a client that goes away", () => {
  const paths = ["/v1/responses", "/v1/chat/completions", "/v1/messages", "/v1/completions"];
  const moments = [
    "before the head",
    "before the first byte",
    "in the middle of a stream",
    "in the middle of a document",
  ] as const;
  const cases = paths.flatMap((path) => moments.map((moment) => [path, moment] as const));

  it.each(cases)("from %s %s cancels the request to LM Studio at once", async (path, moment) => {
    let closed: number | undefined;
    await using upstream = await startUpstream((response, _request, socket) => {
      socket.once("close", () => {
        closed = performance.now();
      });
      if (moment === "before the first byte") response.writeHead(200, eventStream).flushHeaders();
      if (moment === "in the middle of a stream") response.writeHead(200, eventStream).write("data: one\n\n");
      if (moment === "in the middle of a document") {
        response.writeHead(200, { "content-type": "application/json" }).write(`{"id":"${"x".repeat(100)}`);
      }
    });
    // Where a thought may have to be cut out of a document, or a call translated, nothing of it is passed on before it is complete.
    const untouched = { models: { "*": { thinking: "client" as const } }, codexTools: "pass" as const };
    const config = moment === "in the middle of a document" ? untouched : {};
    await using proxy = await startTestProxy({ upstream: upstream.url, ...config });
    const client = net.connect(proxy.port, "127.0.0.1");
    const heard: Buffer[] = [];
    client.on("data", (chunk: Buffer) => heard.push(chunk));
    client.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{"model":"m"}`);
    await until("the request is with LM Studio", () => upstream.seen.length === 1);
    if (moment !== "before the head") await until("something came back", () => heard.length > 0);
    const gone = performance.now();
    client.destroy();
    await until("LM Studio lost its client", () => closed !== undefined);
    expect((closed ?? Number.POSITIVE_INFINITY) - gone).toBeLessThan(1_000);
    await until("the end is in the log", () => proxy.log.some((line) => line.outcome === "client-gone"));
  });

  it("while it still sends its body leaves nothing running", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (const path of ["/v1/responses", "/v1/embeddings"]) {
      const client = net.connect(proxy.port, "127.0.0.1");
      client.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a":`);
      await once(client, "connect");
      client.end();
      await once(client.resume(), "close");
    }
    await until("both are over", () => proxy.log.filter((line) => line.outcome === "client-gone").length === 2);
    expect(upstream.seen).toHaveLength(0);
  });
});

it("leaves no socket and no timer behind", async () => {
  const resources = () => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout/.test(name)).length;
  const before = resources();
  {
    await using upstream = await startUpstream((response) => response.writeHead(200, eventStream).end("data: x\n\n"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await Promise.all(Array.from({ length: 20 }, () => send(proxy.port, "/v1/chat/completions", chat)));
    const client = net.connect(proxy.port, "127.0.0.1");
    await once(client, "connect");
    client.destroy();
  }
  await until("everything is closed", () => resources() <= before);
});
