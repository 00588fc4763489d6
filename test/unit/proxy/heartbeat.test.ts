import { once } from "node:events";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { describe, expect, it } from "vitest";
import { type Answer, open, send, startTestProxy, startUpstream, until } from "./harness.ts";

const streams = [
  ["/v1/responses", "response.in_progress"],
  ["/v1/chat/completions", "chat.completion.chunk"],
  ["/v1/messages", "ping"],
  ["/v1/completions", "text_completion"],
  ["/api/v1/chat", "ping"],
] as const;
const asking = (stream: boolean) => ({ body: JSON.stringify({ model: "m", stream }) });

const eventsOf = (text: string): EventSourceMessage[] => {
  const events: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => events.push(event) }).feed(text);
  return events;
};

/** LM Studio that is silent until told to go on. */
async function silent(config: object, end: Answer) {
  let goOn = () => {};
  const upstream = await startUpstream((response, request, socket) => {
    goOn = () => end(response, request, socket);
  });
  const proxy = await startTestProxy({ upstream: upstream.url, heartbeatSeconds: 0.03, ...config });
  const close = async () => {
    await proxy[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  };
  return { upstream, proxy, goOn: () => goOn(), [Symbol.asyncDispose]: close };
}

describe.each(streams)("a long silence on %s", (path, kind) => {
  it("is bridged by events of the client's own form, before the first byte and between events", async () => {
    const first = 'data: {"type":"x","choices":[]}\n\n';
    await using there = await silent({}, (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(first);
    });
    const answer = await open(there.proxy.port, path, asking(true));
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["content-type"]).toMatch(/^text\/event-stream/);
    let text = "";
    answer.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const beats = () => eventsOf(text).filter(({ data }) => data.includes(`"${kind}"`)).length;
    const reached = (count: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (beats() >= count) resolve();
        };
        answer.on("data", look);
        look();
      });
    await reached(2);
    there.goOn();
    await reached(4);
    expect(text).toContain(first);
    for (const { data } of eventsOf(text)) expect(() => JSON.parse(data)).not.toThrow();
    answer.destroy();
  });

  it("ends in an error of that form when LM Studio then refuses", async () => {
    await using there = await silent({}, (response) => {
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"too long"}}');
    });
    const answer = await open(there.proxy.port, path, asking(true));
    there.goOn();
    let text = "";
    for await (const chunk of answer) text += chunk;
    const last = eventsOf(text).at(-1)?.data ?? "";
    expect(last).toMatch(/status 400: too long/);
    expect(last).toMatch(/"error"|response\.failed/);
  });
});

it("a Responses stream that begins with a heartbeat begins with response.created once and keeps its id, as strict clients ask", async () => {
  await using there = await silent({}, (response) => {
    const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    const real = { id: "resp_real", output: [] };
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(event("response.created", { response: real }) + event("response.in_progress", { response: real }));
    const item = { type: "message", id: "msg_1", role: "assistant", content: [] };
    response.write(event("response.output_item.added", { output_index: 0, item }));
    setTimeout(() => {
      response.write(event("response.output_item.done", { output_index: 0, item }));
      response.end(event("response.completed", { response: { ...real, output: [item] } }));
    }, 100);
  });
  const answer = await open(there.proxy.port, "/v1/responses", asking(true));
  let text = "";
  answer.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await until("several heartbeats", () => text.split("response.in_progress").length > 6);
  there.goOn();
  await once(answer, "end");
  const events = eventsOf(text).map(({ data }) => JSON.parse(data) as { type: string; response?: { id: string } });
  expect(events[0]?.type).toBe("response.created");
  expect(events.filter(({ type }) => type === "response.created")).toHaveLength(1);
  expect(new Set(events.flatMap(({ response }) => response?.id ?? [])).size).toBe(1);
  // Heartbeats went on in the middle of the answer, of the same response.
  expect(events.findLastIndex(({ type }) => type === "response.in_progress")).toBeGreaterThan(
    events.findIndex(({ type }) => type === "response.output_item.added"),
  );
  expect(events.at(-1)?.type).toBe("response.completed");
});

it("a client that did not ask for a stream gets none: its status stays LM Studio's own", async () => {
  await using there = await silent({}, (response) => {
    response.writeHead(418, { "content-type": "application/json" }).end("{}");
  });
  const answer = send(there.proxy.port, "/v1/chat/completions", asking(false));
  while (there.upstream.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const beats = setTimeout(() => there.goOn(), 100);
  expect((await answer).status).toBe(418);
  clearTimeout(beats);
});

it("nothing is sent while a request waits for a slot, so that a refusal is still an honest 503", async () => {
  const models = { m: { slots: 1 } };
  await using there = await silent({ models, limits: { queueSeconds: 0.15 } }, () => {});
  const first = await open(there.proxy.port, "/v1/responses", asking(true));
  const second = await send(there.proxy.port, "/v1/responses", asking(true));
  expect(second.status).toBe(503);
  expect(second.headers["retry-after"]).toMatch(/^[1-9]\d*$/);
  expect(JSON.parse(second.text).error.code).toBe("queue_timeout");
  first.destroy();
});
