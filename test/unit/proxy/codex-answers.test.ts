/** What reaches a client of `/v1/responses` over the wire: statuses, the ends of streams, headers and counters. */
import { createParser } from "eventsource-parser";
import { describe, expect, it } from "vitest";
import { type Json, printed } from "./answer/dialects.ts";
import { lmStudio, responseOf, type Said } from "./codex/answer/streams.ts";
import { type Answer, json, open, send, startTestProxy, startUpstream, until } from "./harness.ts";

const names = { end: "\n", blank: " ", lessThan: "<", names: true, twoLines: false, comments: false } as const;
const patch = "*** Begin Patch\n*** End Patch";
const said: Said[] = [
  { kind: "text", pieces: ["Hel", "lo."] },
  { kind: "call", name: "apply_patch", arguments: { input: patch } },
];
const tools = [{ type: "custom", name: "apply_patch", description: "Edits files." }];
const asking = (stream: boolean) => json({ model: "m", stream, input: "hello", tools });
const sse =
  (bytes: Buffer | string): Answer =>
  (response) =>
    response.writeHead(200, { "content-type": "text/event-stream" }).end(bytes);
const refusing =
  (status: number, body: string): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(body);
const document: Answer = (response) =>
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(responseOf(said)));

const loaded = {
  models: [{ type: "llm", key: "m", loaded_instances: [{ id: "m", config: { context_length: 8192 } }] }],
};

async function answered(answer: Answer, stream = true, config: object = {}, over = () => true) {
  await using upstream = await startUpstream(answer, loaded);
  await using proxy = await startTestProxy({ upstream: upstream.url, models: { m: {} }, ...config });
  const received = await send(proxy.port, "/v1/responses", asking(stream));
  await until("it is in the log", () => proxy.log.some(({ msg }) => msg === "request"));
  await until("it is over for LM Studio too", over);
  const metrics = await send(proxy.port, "/metrics");
  return { ...received, events: eventsIn(received.text), log: proxy.log.find(({ msg }) => msg === "request"), metrics };
}

function eventsIn(text: string): Json[] {
  const events: Json[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data) as Json) });
  if (text.startsWith("event:") || text.startsWith("data:")) parser.feed(text);
  return events;
}

const overflow =
  "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5453>= n_ctx: 4096).";
const engine = (message: string) =>
  `Engine protocol predict stream returned an error: {"code":500,"message":"${message}","type":"server_error"}`;

describe("a refusal of LM Studio before the stream", () => {
  it.each([
    // Without room Codex has to compact, or to say so; it knows by the code.
    ["too long a prompt", 400, { error: overflow }, 400, "context_length_exceeded"],
    [
      "too long a prompt, as the engine says it",
      400,
      { error: engine("Context size has been exceeded.") },
      400,
      "context_length_exceeded",
    ],
    [
      "too long a prompt, as llama.cpp says it",
      500,
      { error: { message: "too long", type: "exceed_context_size_error" } },
      400,
      "context_length_exceeded",
    ],
    // Permanent: a 400 is shown at once, anything else only after many tries.
    [
      "an item that is not there",
      404,
      { error: { message: "no such item", code: "item_not_found" } },
      400,
      "item_not_found",
    ],
    ["an error that is a bare text", 400, { error: "no" }, 400, "invalid_request"],
    [
      "a template that refuses the conversation",
      500,
      { error: "Error rendering prompt with jinja template" },
      400,
      "invalid_request",
    ],
    // Passing: to be asked again, and the words are not lost as those of a 500 are.
    [
      "a crash",
      400,
      { error: "The model has crashed without additional information. (Exit code: 6)" },
      503,
      "upstream_error",
    ],
    ["an engine that broke down", 400, { error: engine("Compute error.") }, 503, "upstream_error"],
    ["a failure without a reason", 500, {}, 502, "upstream_error"],
  ])("for %s gets the status that makes Codex do the right thing", async (_, status, body, wanted, code) => {
    const answer = await answered(refusing(status, JSON.stringify(body)));
    expect(answer.status).toBe(wanted);
    const { error } = JSON.parse(answer.text) as { error: { message: string; code: string } };
    expect(error.code).toBe(code);
    expect(typeof error.message).toBe("string");
    expect(answer.headers["retry-after"]).toBe(wanted === 503 ? "2" : undefined);
  });

  it("for a declared model that LM Studio does not have yet says when to ask again", async () => {
    const missing = refusing(404, '{"error":{"message":"It is not here.","code":"model_not_found"}}');
    const { status, headers, text } = await answered(missing, true, { models: { m: {} } });
    expect([status, headers["retry-after"]]).toEqual([503, "2"]);
    expect(text).toContain("It is not here.");
    expect((await answered(missing, true, { models: { other: {} } })).status).toBe(400);
  });

  it("is told in the stream when a heartbeat had to begin it", async () => {
    const late: Answer = (response, request, socket) => {
      setTimeout(() => refusing(400, JSON.stringify({ error: overflow }))(response, request, socket), 120);
    };
    const { events, log } = await answered(late, true, { heartbeatSeconds: 0.03 });
    expect(events[0]?.type).toBe("response.created");
    expect(events.at(-1)).toMatchObject({
      type: "response.failed",
      response: { error: { code: "context_length_exceeded" } },
    });
    expect(new Set(events.map(({ response }) => (response as Json).id)).size).toBe(1);
    expect(log).toMatchObject({ outcome: "failed", code: "context_length_exceeded" });
  });
});

describe("a failure in the stream", () => {
  const begun = printed(lmStudio(said).slice(0, 5), names).toString();
  const error = (message: string) => `event: error\ndata: ${JSON.stringify({ error: { message }, message })}\n\n`;

  it.each([
    [overflow, "context_length_exceeded"],
    ["The model has crashed without additional information. (Exit code: 6)", "upstream_error"],
    // With any other code Codex would ask six times for what cannot succeed.
    ["Failed to initialize samplers: failed to parse grammar", "invalid_prompt"],
  ])(
    "'%s' becomes response.failed with the code %s, and the stream closes although LM Studio's does not",
    async (message, code) => {
      let closed = false;
      const endless: Answer = (response, _request, socket) => {
        socket.once("close", () => {
          closed = true;
        });
        response.writeHead(200, { "content-type": "text/event-stream" }).write(begun + error(message));
      };
      const { text, events, broken, metrics } = await answered(endless, true, {}, () => closed);
      expect(text.startsWith(begun)).toBe(true);
      expect(broken).toBe(false);
      expect(events.at(-1)).toMatchObject({
        type: "response.failed",
        response: { id: "resp_lmstudio", error: { code } },
      });
      expect(text).toContain(JSON.stringify(message).slice(1, -1));
      expect(metrics.text).toContain(
        code === "invalid_prompt"
          ? 'lmstack_refused_total{code="invalid_request"} 1'
          : "lmstack_upstream_errors_total{kind=",
      );
    },
  );

  it("an answer that stops without its end is one", async () => {
    const { events, log } = await answered(sse(begun));
    expect(events.at(-1)).toMatchObject({ type: "response.failed", response: { error: { code: "upstream_error" } } });
    expect(log).toMatchObject({ outcome: "failed", code: "upstream_error" });
  });

  it("a connection that breaks behind the answer's end is none", async () => {
    const { events, log } = await answered((response, _request, socket) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(printed(lmStudio(said), names));
      setTimeout(() => socket.destroy(), 50);
    });
    expect(events.at(-1)?.type).toBe("response.completed");
    expect(log).toMatchObject({ outcome: "complete" });
  });
});

describe("a document where a stream was asked for", () => {
  it("becomes the stream", async () => {
    const { headers, events } = await answered(document);
    expect(headers["content-type"]).toMatch(/^text\/event-stream/);
    expect(events[0]?.type).toBe("response.created");
    expect(events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item)).toMatchObject([
      { type: "message" },
      { type: "custom_tool_call", input: patch },
    ]);
    expect(events.at(-1)?.type).toBe("response.completed");
  });

  it("becomes it behind a heartbeat too", async () => {
    const late: Answer = (...all) => void setTimeout(() => document(...all), 120);
    const { events } = await answered(late, true, { heartbeatSeconds: 0.03 });
    expect(events.filter(({ type }) => type === "response.created")).toHaveLength(1);
    expect(events.at(-1)?.type).toBe("response.completed");
    expect(new Set(events.flatMap(({ response }) => (response as Json | undefined)?.id ?? [])).size).toBe(1);
  });

  it("that is none at all is a clear failure", async () => {
    const { status, text } = await answered((response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"object":"list","data":[]}');
    });
    expect([status, JSON.parse(text).error.code]).toEqual([502, "upstream_error"]);
  });
});

describe("calls in a wrong form", () => {
  it("are told by kind in a document's header, and counted by model and kind", async () => {
    const { headers, text, metrics, log } = await answered(document, false);
    expect(JSON.parse(text).output[1]).toMatchObject({ type: "custom_tool_call", input: patch });
    expect(headers["x-lmstack-repaired"]).toBe("arguments-object");
    expect(metrics.text).toContain('lmstack_repaired_calls_total{model="m",kind="arguments-object"} 1');
    expect(log).toMatchObject({ repaired: ["arguments-object"] });
  });

  it("leave no header where there were none", async () => {
    const right: Answer = (response) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(responseOf(said.slice(0, 1))));
    expect((await answered(right, false)).headers).not.toHaveProperty("x-lmstack-repaired");
  });
});

it("with codexTools: pass every byte of an answer is left alone, whatever is wrong with it", async () => {
  const events = printed(lmStudio(said, { usage: { input_tokens: 1 }, id: undefined }), names).toString();
  const pass = { codexTools: "pass" };
  expect((await answered(sse(events), true, pass)).text).toBe(events);
  expect(await answered(refusing(404, '{"error":"no"}'), true, pass)).toMatchObject({
    status: 404,
    text: '{"error":"no"}',
  });
  const body = JSON.stringify(responseOf(said), undefined, 1);
  const whole: Answer = (response) => response.writeHead(200, { "content-type": "application/json" }).end(body);
  expect((await answered(whole, false, pass)).text).toBe(body);
});

it("a text reaches the client as it is generated, not at its end", async () => {
  const events = lmStudio([{ kind: "text", pieces: ["one", "two"] }]);
  let goOn = () => {};
  await using upstream = await startUpstream((response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(printed(events.slice(0, 5), names));
    goOn = () => response.end(printed(events.slice(5), names));
  });
  await using proxy = await startTestProxy({ upstream: upstream.url });
  const answer = await open(proxy.port, "/v1/responses", asking(true));
  let text = "";
  answer.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await until("the first piece is there", () => text.includes('"delta":"one"'));
  goOn();
  await until("the end is there", () => text.includes("response.completed"));
});

it("a client that goes on from an answer by the id that it was told goes on from LM Studio's own", async () => {
  let asked = 0;
  await using upstream = await startUpstream((...all) => {
    const answer = sse(printed(lmStudio(said), names));
    setTimeout(() => answer(...all), asked++ === 0 ? 120 : 0);
  });
  await using proxy = await startTestProxy({ upstream: upstream.url, heartbeatSeconds: 0.03 });
  const first = eventsIn((await send(proxy.port, "/v1/responses", asking(true))).text);
  const { id } = (first.at(-1) as { response: { id: string } }).response;
  expect(id).not.toBe("resp_lmstudio");
  for (const previous_response_id of [id, "resp_other"])
    await send(proxy.port, "/v1/responses", json({ model: "m", input: "more", previous_response_id }));
  const sent = upstream.seen.map(({ body }) => JSON.parse(body).previous_response_id);
  expect(sent).toEqual([undefined, "resp_lmstudio", "resp_other"]);
});
