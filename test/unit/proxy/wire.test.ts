import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { json, listen, open, raw, send, startTestProxy, startUpstream, until } from "./harness.ts";

const body = '{"model":"m"}';
const whole = (path: string, extra = "") =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n${extra}\r\n`;

describe("a client that asks before it sends its body", () => {
  it("is told to go on once its request was found good", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const socket = net.connect(proxy.port, "127.0.0.1").setEncoding("latin1");
    let text = "";
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.write(whole("/v1/responses", "Expect: 100-continue\r\n"));
    await until("go on", () => text.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
    expect(upstream.seen).toHaveLength(0);
    socket.write(body);
    await once(socket, "close");
    expect(text).toContain("HTTP/1.1 200 OK");
    expect(upstream.seen[0]?.headers.expect).toBeUndefined();
  });

  it("is refused without having sent it", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url, keys: [{ id: "a", sha256: "0".repeat(64) }] });
    const text = await raw(proxy.port, whole("/v1/responses", "Expect: 100-continue\r\n"));
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).not.toContain("100 Continue");
  });
});

describe("a connection to LM Studio that was kept", () => {
  /** Answers the first request of each connection, and closes it when the second one comes. */
  async function forgetful() {
    const requests: string[] = [];
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      let served = false;
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        if (chunk.toString().startsWith("GET /api/v1/models")) {
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"models":[]}');
          return;
        }
        requests.push(chunk.toString());
        if (served) {
          socket.resetAndDestroy();
          return;
        }
        served = true;
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    const port = await listen(server);
    const close = async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    };
    return { url: `http://127.0.0.1:${port}`, requests, [Symbol.asyncDispose]: close };
  }

  it("and is dead by the next request costs the client nothing: the request is sent again", async () => {
    await using upstream = await forgetful();
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (let i = 0; i < 6; i++) {
      expect((await send(proxy.port, "/v1/responses", json({ model: "m", i }))).text).toBe("ok");
    }
    await until("all are in the log", () => proxy.log.filter(({ path }) => path === "/v1/responses").length === 6);
    expect(proxy.log.some(({ retried }) => retried === true)).toBe(true);
    expect(upstream.requests.length).toBeGreaterThan(6);
  });

  it("is not tried for ever: the second failure is told", async () => {
    let calls = 0;
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => {
        calls++;
        if (calls === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        else socket.resetAndDestroy();
      });
    });
    const port = await listen(server);
    try {
      await using proxy = await startTestProxy({ upstream: `http://127.0.0.1:${port}` });
      expect((await send(proxy.port, "/v1/responses", json({ model: "m" }))).status).toBe(200);
      const second = await send(proxy.port, "/v1/responses", json({ model: "m" }));
      expect(JSON.parse(second.text).error.code).toBe("upstream_failed");
      expect(calls).toBe(3);
    } finally {
      server.close();
    }
  });
});

it("trailers of an answer reach the client", async () => {
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, { "content-type": "text/plain", trailer: "x-checksum" });
    response.write("data");
    response.addTrailers({ "x-checksum": "abc" });
    response.end();
  });
  await using proxy = await startTestProxy({ upstream: upstream.url });
  const answer = await open(proxy.port, "/v1/models");
  answer.resume();
  await once(answer, "end");
  expect(answer.trailers).toEqual({ "x-checksum": "abc" });
});

it("HEAD has the head of GET and no body", async () => {
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "11" }).end('{"data":[]}');
  });
  await using proxy = await startTestProxy({ upstream: upstream.url });
  const text = await raw(proxy.port, "HEAD /api/v0/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(text).toMatch(/content-length: 11/i);
  expect(text.split("\r\n\r\n")[1]).toBe("");
});

describe("a slow or broken sender", () => {
  it("of a head is told after limits.headerSeconds", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url, limits: { headerSeconds: 0.1 } });
    const text = await raw(proxy.port, "POST /v1/responses HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"request_too_slow"');
  });

  it("of a body is told after limits.bodySeconds of silence", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url, limits: { bodySeconds: 0.1 } });
    const text = await raw(proxy.port, `${whole("/v1/responses")}{"a"`);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"request_too_slow"');
    expect(upstream.seen).toHaveLength(0);
  });

  it("of too many header bytes is told how many there may be", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url, limits: { headerBytes: 2048 } });
    const text = await raw(proxy.port, `GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(4096)}\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
    expect(text).toContain("2048 bytes");
  });

  it("of something else than HTTP is told that, and the next one is served", async () => {
    await using upstream = await startUpstream((response) => response.end("[]"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    expect(await raw(proxy.port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")).toMatch(/^HTTP\/1\.1 400 /);
    expect((await send(proxy.port, "/v1/models")).status).toBe(200);
  });
});

describe("web pages of other origins", () => {
  it("get no permission unless the configuration names them, whatever LM Studio says", async () => {
    await using upstream = await startUpstream((response) =>
      response.writeHead(200, { "access-control-allow-origin": "*" }).end("[]"),
    );
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const { headers } = await send(proxy.port, "/v1/models", { headers: { origin: "https://page.example" } });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    await using open = await startTestProxy({ upstream: upstream.url, cors: ["https://page.example"] });
    const ask = async (origin: string) =>
      (await send(open.port, "/v1/models", { headers: { origin } })).headers["access-control-allow-origin"];
    expect(await ask("https://page.example")).toBe("https://page.example");
    expect(await ask("https://other.example")).toBeUndefined();
  });

  it("that are named may ask beforehand, without a key", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({
      upstream: upstream.url,
      cors: ["*"],
      keys: [{ id: "a", sha256: "0".repeat(64) }],
    });
    const { status, headers } = await send(proxy.port, "/v1/responses", {
      method: "OPTIONS",
      headers: {
        origin: "https://page.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    expect([status, headers["access-control-allow-headers"]]).toEqual([204, "authorization"]);
    expect((await send(proxy.port, "/v1/responses", json({}))).status).toBe(401);
  });
});

it("a keep-alive client that sends one request after the other has each answered on the same connection", async () => {
  await using upstream = await startUpstream((response) => response.end("{}"));
  await using proxy = await startTestProxy({ upstream: upstream.url });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (let i = 0; i < 5; i++) {
    const answer = await open(proxy.port, "/v1/responses", { ...json({ model: "m" }), agent });
    ports.add(answer.socket.localPort);
    answer.resume();
    await once(answer, "end");
  }
  agent.destroy();
  expect(ports.size).toBe(1);
});
