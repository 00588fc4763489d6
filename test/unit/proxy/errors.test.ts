import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { json, open, raw, send, startTestProxy, startUpstream, until } from "./harness.ts";

const eventStream = { "content-type": "text/event-stream" };
const openAi = { path: "/v1/responses", message: (text: string) => JSON.parse(text).error.message as string };
const dialects = [
  openAi,
  { ...openAi, path: "/v1/chat/completions" },
  { ...openAi, path: "/api/v0/chat/completions" },
  {
    path: "/v1/messages",
    message: (text: string) => {
      const body = JSON.parse(text) as { type: string; error: { type: string; message: string } };
      expect(body.type).toBe("error");
      expect(body.error.type).toMatch(/_error$|request_too_large/);
      return body.error.message;
    },
  },
];
const body = json({ model: "m", messages: [], input: "x" });

describe.each(dialects)("on $path", ({ path, message }) => {
  it("a body that is not JSON is a 400 that says where it breaks", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (const [text, where] of [
      ['{"model":', "byte 9"],
      ["", "byte 0"],
      ["[]", "byte 0"],
      ['{"a":1}x', "byte 7"],
    ]) {
      const answer = await send(proxy.port, path, { body: text ?? "" });
      expect(answer.status).toBe(400);
      expect(message(answer.text)).toContain(where);
    }
    expect(upstream.seen).toHaveLength(0);
  });

  it("a body that names no model is a 400, since LM Studio would let whatever is loaded answer", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (const unnamed of [{ messages: [] }, { model: 7 }]) {
      const answer = await send(proxy.port, path, json(unnamed));
      expect(answer.status).toBe(400);
      expect(message(answer.text)).toContain("names no model");
    }
    expect(upstream.seen).toHaveLength(0);
  });

  it("a body over the limit is a 413 that names the limit, whether or not its length was said", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url, limits: { bodyBytes: 1024 } });
    const large = Buffer.alloc(200_000, 32);
    for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
      const answer = await send(proxy.port, path, { body: large, headers });
      expect(answer.status).toBe(413);
      expect(message(answer.text)).toContain("1024 bytes");
    }
    expect(upstream.seen).toHaveLength(0);
  });

  it("LM Studio not running is a 503 that says when to try again", async () => {
    const upstream = await startUpstream(() => {});
    await upstream[Symbol.asyncDispose]();
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, path, body);
    expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "2"]);
    expect(message(answer.text)).toContain(upstream.url);
  });

  it("LM Studio dying before its answer is a 502", async () => {
    await using upstream = await startUpstream((_response, _request, socket) => socket.destroy());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, path, body);
    expect(answer.status).toBe(502);
    expect(message(answer.text)).toContain("broke off");
  });

  it("an error that LM Studio sends with status 200 gets the status it should have had", async () => {
    await using upstream = await startUpstream((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"err');
      response.end('or":"Unexpected endpoint or method. (POST /x)"}');
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, path, body);
    expect(answer.status).toBe(404);
    expect(message(answer.text)).toContain("Unexpected endpoint or method. (POST /x)");
  });

  it("an answer that only mentions an error passes as it is", async () => {
    const text = '{"id":"x","error":null,"output":[]}';
    await using upstream = await startUpstream((response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": text.length }).end(text);
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    expect(await send(proxy.port, path, body)).toMatchObject({ status: 200, text });
  });

  it("LM Studio's own errors pass as they are", async () => {
    const text = '{"error":{"message":"no","type":"invalid_request_error","param":"input.0","code":"invalid_type"}}';
    await using upstream = await startUpstream((response) => {
      response.writeHead(400, { "content-type": "application/json" }).end(text);
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    expect(await send(proxy.port, path, body)).toMatchObject({ status: 400, text });
  });
});

describe("LM Studio dying in the middle of a stream", () => {
  const broken = async (path: string, before: string) => {
    await using upstream = await startUpstream((response, _request, socket) => {
      response.writeHead(200, eventStream).flushHeaders();
      if (before !== "") response.write(before);
      setImmediate(() => socket.destroy());
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, path, body);
    await until("it is in the log", () => proxy.log.some((line) => line.code === "upstream_failed"));
    expect(answer.broken).toBe(false);
    return answer.text;
  };
  const lastEvent = (text: string) => {
    const lines = text.trimEnd().split("\n\n").at(-1)?.split("\n") ?? [];
    const data = lines.find((line) => line.startsWith("data: "))?.slice(6) ?? "";
    return { event: lines.find((line) => line.startsWith("event: "))?.slice(7), data: JSON.parse(data) };
  };

  it("ends a Responses stream with response.failed and a clean close", async () => {
    for (const before of ["", "event: a\ndata: {}\n\n"]) {
      const { event, data } = lastEvent(await broken("/v1/responses", before));
      expect(event).toBe("response.failed");
      expect(data).toMatchObject({
        type: "response.failed",
        response: { status: "failed", error: { code: "upstream_failed" } },
      });
    }
  });

  it("ends a chat stream with an error chunk and without the mark of a complete one", async () => {
    const text = await broken("/v1/chat/completions", "data: {}\n\n");
    expect(lastEvent(text).data.error.code).toBe("upstream_failed");
    expect(text).not.toContain("[DONE]");
  });

  it("ends a Messages stream with an error event", async () => {
    const { event, data } = lastEvent(await broken("/v1/messages", "event: ping\ndata: {}\n\n"));
    expect(event).toBe("error");
    expect(data).toMatchObject({ type: "error", error: { type: "api_error" } });
  });

  it("closes a half-sent event before it says so", async () => {
    const text = await broken("/v1/chat/completions", 'data: {"cut');
    expect(text).toMatch(/^data: \{"cut\n\ndata: \{"error"/);
  });

  it("leaves a half-sent event out where it can: nobody could read it", async () => {
    expect(await broken("/v1/responses", 'data: {"cut')).toMatch(/^event: response\.failed\n/);
  });

  it("breaks the connection of half a document, which nothing else could tell from a whole one", async () => {
    await using upstream = await startUpstream((response, _request, socket) => {
      response.writeHead(200, { "content-type": "application/json" }).write(`{"id":"${"x".repeat(100)}`);
      setImmediate(() => socket.destroy());
    });
    // Where no thought may have to be cut out and nothing be completed, a document is passed on as it comes.
    const untouched = { models: { "*": { thinking: "client" as const } }, codexTools: "pass" as const };
    await using proxy = await startTestProxy({ upstream: upstream.url, ...untouched });
    const answer = await open(proxy.port, "/v1/chat/completions", body);
    answer.resume();
    await expect(once(answer, "end")).rejects.toThrow();
    await using careful = await startTestProxy({ upstream: upstream.url });
    const { status, text } = await send(careful.port, "/v1/chat/completions", body);
    expect([status, JSON.parse(text).error.code]).toEqual([502, "upstream_failed"]);
  });
});

describe("what is not let through", () => {
  it.each([
    ["POST", "/api/v1/models/load", 403],
    ["POST", "/api/v1/models/unload?x=1", 403],
    ["POST", "/api/v1/models/download", 403],
    ["GET", "/api/v1/models/download/status/1", 403],
    ["POST", "/api/v1/models/%6Coad", 404],
    ["POST", "//api/v1/models/load", 404],
    ["POST", "/v1/../api/v1/models/load", 404],
    ["POST", "/v1/models/../../api/v1/models/load", 404],
    ["POST", "http://other/api/v1/models/load", 403],
    ["GET", "/index.html", 404],
    ["POST", "/", 405],
    ["DELETE", "/v1/models/m", 405],
    ["GET", "/v1/responses", 405],
    ["GET", "/v1/models/..%2f..%2fapi/v1/models", 404],
    ["GET", "/v1/models/a/../../../api/v1/models", 404],
    ["GET", "/v1/models/a\\..\\b", 404],
    ["OPTIONS", "*", 404],
  ])("%s %s is a %i", async (method, path, status) => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const text = await raw(
      proxy.port,
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
    );
    expect(text).toContain(`HTTP/1.1 ${status} `);
    expect(upstream.seen).toHaveLength(0);
  });

  it("a WebSocket is told to come by plain HTTP, on LM Studio's own paths too", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (const path of ["/v1/responses", "/llm", "/system"]) {
      const text = await raw(
        proxy.port,
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      );
      expect(text).toContain("HTTP/1.1 426 ");
    }
    expect(upstream.seen).toHaveLength(0);
  });

  it("a compressed body is a 415, because nothing could be switched off in it", async () => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const answer = await send(proxy.port, "/v1/responses", { body: "x", headers: { "content-encoding": "gzip" } });
    expect(answer.status).toBe(415);
    expect(upstream.seen).toHaveLength(0);
  });

  it.each([
    [
      "two framings",
      "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["two lengths", "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"],
    ["a folded field", "GET /v1/models HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"],
    ["a NUL", "GET /v1/models HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"],
    ["a space before the colon", "GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\n"],
    [
      "a flood of fields",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n".repeat(1000)}\r\n`,
    ],
  ])("%s is refused, and the connection closed", async (_name, bytes) => {
    await using upstream = await startUpstream((response) => response.end());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    expect(await raw(proxy.port, bytes)).toMatch(/^HTTP\/1\.1 4(?:00|31) /);
    expect(upstream.seen).toHaveLength(0);
  });
});
