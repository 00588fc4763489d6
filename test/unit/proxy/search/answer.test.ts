import http from "node:http";
import { createParser } from "eventsource-parser";
import { expect, it } from "vitest";
import { open, type Received, send, until } from "../harness.ts";
import { call, type Json, json, message, query, search, sse, startTalk as start } from "./talk.ts";

const hello = { type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] };
const exec = { type: "function", name: "exec_command", parameters: { type: "object", properties: {} } };
const asking = (more: Json = {}) => ({
  body: JSON.stringify({
    model: "m",
    input: [hello],
    tools: [exec, { type: "web_search", external_web_access: true }],
    stream: true,
    store: false,
    ...more,
  }),
});

function eventsOf({ text }: { text: string }): Json[] {
  const events: Json[] = [];
  createParser({ onEvent: ({ data }) => events.push(JSON.parse(data)) }).feed(text);
  return events;
}

const shown = (answer: Received) =>
  eventsOf(answer).filter(({ type }) => /^response\.(created|output_item|completed|failed)/.test(type));
/** What differs from run to run. */
const searchId = /^ws_[0-9a-f]{32}$/;

it("a search runs in the middle of one answer: Codex sees it begin and end, and then what the model made of it", async () => {
  await using there = await start([[message("Let me see."), search()], [message("It is a program.")]]);
  const answer = await send(there.proxy.port, "/v1/responses", asking());
  const events = shown(answer);
  const item = { type: "web_search_call", id: expect.stringMatching(searchId), action: { type: "search", query } };
  expect(
    events.map(({ type, output_index, item: { type: kind } = {} as Json }) => [type.slice(9), output_index, kind]),
  ).toEqual([
    ["created", undefined, undefined],
    ["output_item.added", 0, "message"],
    ["output_item.done", 0, "message"],
    ["output_item.added", 1, "web_search_call"],
    ["output_item.done", 1, "web_search_call"],
    ["output_item.added", 2, "message"],
    ["output_item.done", 2, "message"],
    ["completed", undefined, undefined],
  ]);
  expect(events[3]?.item).toEqual({ ...item, status: "in_progress" });
  expect(events[4]?.item).toEqual({ ...item, id: events[3]?.item.id, status: "completed" });
  const { response } = events.at(-1) as Json;
  expect(response.id).toBe(events[0]?.response.id);
  expect(response.output).toMatchObject([message("Let me see."), events[4]?.item, message("It is a program.")]);
  // Codex takes the total for what fills the context.
  expect(response.usage).toMatchObject({ input_tokens: 100, output_tokens: 20, total_tokens: 120 });
  const numbers = eventsOf(answer).map(({ sequence_number }) => sequence_number);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  expect(new Set(numbers).size).toBe(numbers.length);
});

it("the model gets a function for the search, and what was found as the output of its call", async () => {
  await using there = await start([[search()]]);
  const { headers } = await send(there.proxy.port, "/v1/responses", asking());
  expect(there.searxng.queries).toEqual([query]);
  const [first, second] = there.asked() as [Json, Json];
  expect(first.tools).toMatchObject([exec, { type: "function", name: "web_search" }]);
  expect(second.tools).toEqual(first.tools);
  const [found, output] = second.input.slice(-2);
  expect(second.input.slice(0, -2)).toEqual(first.input);
  expect(found).toMatchObject({ type: "function_call", name: "web_search", arguments: JSON.stringify({ query }) });
  expect(output).toMatchObject({ type: "function_call_output", call_id: found.call_id });
  expect(output.output).toContain("https://searx.example/lmstack");
  expect(headers).not.toHaveProperty("x-lmstack-dropped-tools");
});

it("an answer that is no stream is the same answer", async () => {
  const rounds = [[message("Let me see."), search()], [message("It is a program.")]];
  await using streamed = await start(rounds);
  await using whole = await start(rounds);
  const { response } = shown(await send(streamed.proxy.port, "/v1/responses", asking())).at(-1) as Json;
  const answer = await send(whole.proxy.port, "/v1/responses", asking({ stream: false }));
  expect(answer.status).toBe(200);
  const body = JSON.parse(answer.text);
  const alike = ({ id, output, usage: used, status }: Json) => ({
    id,
    used,
    status,
    output: output.map((item: Json) => (searchId.test(item.id) ? { ...item, id: "ws" } : item)),
  });
  expect(alike(body)).toEqual(alike(response));
  expect(body.output[1]).toMatchObject({ type: "web_search_call", status: "completed" });
  expect(whole.asked()[1]?.stream).toBe(false);
});

it("the next turn brings the same bytes as the round that searched, and what was found", async () => {
  await using there = await start([[message("Let me see."), search()], [message("It is a program.")]]);
  const first = shown(await send(there.proxy.port, "/v1/responses", asking())).at(-1) as Json;
  await send(there.proxy.port, "/v1/responses", asking({ input: [hello, ...first.response.output, hello] }));
  const [, round, turn] = there.upstream.seen.map(({ body }) => body) as [string, string, string];
  expect(JSON.parse(turn).input.at(-3).output).toContain("heliotrope");
  const common = [...round].findIndex((char, index) => char !== turn[index]);
  // They part where the round's input ends.
  expect(round.slice(common)).toMatch(/^\]/);
});

it("several searches in several rounds are one answer; all that LM Studio read is counted", async () => {
  await using there = await start([
    [search("lmstack")],
    [
      { ...search("notes"), id: "fc_2" },
      { ...search("zzz"), id: "fc_3" },
    ],
    [message("Done.")],
  ]);
  const { response } = shown(await send(there.proxy.port, "/v1/responses", asking())).at(-1) as Json;
  expect(response.output.map(({ type }: Json) => type)).toEqual([
    "web_search_call",
    "web_search_call",
    "web_search_call",
    "message",
  ]);
  expect(new Set(response.output.map(({ id }: Json) => id)).size).toBe(4);
  expect(response.usage.total_tokens).toBe(130);
  expect(there.asked()[2]?.input.length).toBe(7);
  expect(await there.metric('lmstack_searches_total{outcome="found"}')).toBe(2);
  expect(await there.metric('lmstack_searches_total{outcome="empty"}')).toBe(1);
  expect(await there.metric('lmstack_input_tokens_total{model="other",key="anonymous"}')).toBe(300);
});

it("calls of the client's own tools end the answer; what was found beside them comes with the next turn", async () => {
  await using there = await start([[search(), call("exec_command", { cmd: "ls" })]]);
  const { response } = shown(await send(there.proxy.port, "/v1/responses", asking())).at(-1) as Json;
  expect(response.output).toMatchObject([
    { type: "web_search_call", status: "completed" },
    { type: "function_call", name: "exec_command" },
  ]);
  expect(there.upstream.seen.length).toBe(1);
  const output = { type: "function_call_output", call_id: "call_exec_command", output: "files" };
  await send(there.proxy.port, "/v1/responses", asking({ input: [hello, ...response.output, output] }));
  expect(there.upstream.seen[1]?.body).toContain("heliotrope");
});

it("where the search fails the model is told, and the answer goes on", async () => {
  await using there = await start([[search()], [message("I could not search.")]], {});
  there.searxng.answer = (response) => response.writeHead(403).end();
  const events = shown(await send(there.proxy.port, "/v1/responses", asking()));
  expect(events[2]).toMatchObject({ type: "response.output_item.done", item: { status: "failed" } });
  expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { status: "completed" } });
  expect(there.asked()[1]?.input.at(-1).output).toContain("status 403 (JSON answers are not enabled there)");
});

it("a model that never stops searching is stopped", async () => {
  await using there = await start(
    Array.from({ length: 20 }, () => [search("lmstack")]),
    {},
  );
  const { port } = there.proxy;
  const { response } = shown(await send(port, "/v1/responses", asking())).at(-1) as Json;
  expect(response.status).toBe("completed");
  expect(there.searxng.queries.length).toBe(8);
  expect(there.upstream.seen.length).toBe(10);
});

it.each([true, false])(
  "without a search engine the tool is left out and the header says so (stream: %s)",
  async (stream) => {
    await using there = await start([], { search: undefined });
    const { headers } = await send(there.proxy.port, "/v1/responses", asking({ stream }));
    expect(headers["x-lmstack-dropped-tools"]).toContain("web_search");
    expect(there.asked()[0]?.tools).toEqual([exec]);
  },
);

it("where Codex allows only its cached index, nothing is searched and the header says so", async () => {
  await using there = await start([]);
  const tools = [exec, { type: "web_search", external_web_access: false }];
  const { headers } = await send(there.proxy.port, "/v1/responses", asking({ tools }));
  expect(headers["x-lmstack-dropped-tools"]).toContain("web_search");
  expect(there.asked()[0]?.tools).toEqual([exec]);
});

it.each<[string, (response: http.ServerResponse, stream: boolean) => void, RegExp]>([
  ["refuses", (r) => r.writeHead(400, json).end('{"error":{"message":"too long"}}'), /too long/],
  [
    "breaks off",
    (r, stream) => r.writeHead(200, stream ? sse : json).write(stream ? ":\n\n" : " ", () => r.destroy()),
    /broke off/,
  ],
  ["is gone", (r) => r.destroy(), /LM Studio/],
])("LM Studio that %s in the second round is told as in the first", async (_, fails, words) => {
  for (const stream of [true, false]) {
    const failing = Array.from({ length: 9 }, () => (response: http.ServerResponse) => fails(response, stream));
    await using second = await start([[search()], ...failing]);
    await using first = await start(failing);
    const [late, early] = (await Promise.all(
      [second, first].map(({ proxy }) => send(proxy.port, "/v1/responses", asking({ stream }))),
    )) as [Received, Received];
    const errorIn = (answer: Received): Json =>
      answer.text.startsWith("{") ? JSON.parse(answer.text).error : eventsOf(answer).at(-1)?.response.error;
    // Before anything was said to the client it is a status.
    expect(late.status).toBe(stream ? 200 : early.status);
    expect(errorIn(late).message).toMatch(words);
    expect(errorIn(early).message).toMatch(words);
    if (stream) expect(eventsOf(late).at(-1)?.type).toBe("response.failed");
  }
});

it.each([true, false])(
  "a client that goes away during a search stops it and frees the slot (stream: %s)",
  async (stream) => {
    await using there = await start([[search()]], { models: { "*": { slots: 1 } } });
    there.searxng.answer = () => {};
    const { port } = there.proxy;
    const client = http.request({ port, host: "127.0.0.1", path: "/v1/responses", method: "POST", agent: false });
    client.on("error", () => {}).end(asking({ stream }).body);
    await until("a search", () => there.searxng.queries.length === 1);
    client.destroy();
    await until("the search is let go", () => there.searxng.abandoned() === 1);
    expect((await send(port, "/v1/responses", asking())).status).toBe(200);
    expect(there.upstream.seen.length).toBe(2);
    expect(await there.metric('lmstack_cancelled_requests_total{model="other"}')).toBe(1);
  },
);

it("a client that goes away in the second round stops LM Studio", async () => {
  let stopped = 0;
  await using there = await start([
    [search()],
    (response) =>
      response.once("close", () => {
        stopped += 1;
      }),
  ]);
  const answer = await open(there.proxy.port, "/v1/responses", asking());
  await until("a second round", () => there.upstream.seen.length === 2);
  answer.destroy();
  await until("LM Studio is told", () => stopped === 1);
});

it("the model's slot is kept for the whole answer", async () => {
  await using there = await start([[search()], [message("First.")], [message("Second.")]], {
    models: { "*": { slots: 1 } },
  });
  let goOn = () => {};
  there.searxng.answer = (response) => {
    goOn = () => response.end();
  };
  const first = send(there.proxy.port, "/v1/responses", asking());
  await until("a search", () => there.searxng.queries.length === 1);
  const second = send(there.proxy.port, "/v1/responses", asking());
  await until("the second waits", () => there.upstream.seen.length === 1);
  goOn();
  expect((await first).text).toContain("First.");
  expect((await second).text).toContain("Second.");
});

it("a slow search is bridged by heartbeats", async () => {
  await using there = await start([[search()]], { heartbeatSeconds: 0.03 });
  let goOn = () => {};
  there.searxng.answer = (response) => {
    goOn = () => response.end();
  };
  const answer = await open(there.proxy.port, "/v1/responses", asking());
  let text = "";
  let beats = 0;
  for await (const chunk of answer) {
    text += chunk;
    if (there.searxng.queries.length === 1 && String(chunk).includes("response.in_progress") && ++beats === 3) goOn();
  }
  expect(beats).toBeGreaterThanOrEqual(3);
  expect(eventsOf({ text }).at(-1)?.type).toBe("response.completed");
  const ids = eventsOf({ text }).flatMap(({ response }) => (response === undefined ? [] : [response.id]));
  expect(new Set(ids).size).toBe(1);
});

it("what was searched for and found is in no log, no capture and no error", async () => {
  const refuses = (r: http.ServerResponse) => r.writeHead(400, json).end('{"error":{"message":"no"}}');
  await using there = await start([[search()], refuses, [search()]], { captures: 10 });
  await send(there.proxy.port, "/v1/responses", asking());
  there.searxng.answer = (response) => response.writeHead(302, { location: `/?q=${encodeURIComponent(query)}` }).end();
  await send(there.proxy.port, "/v1/responses", asking());
  const captures = await send(there.proxy.port, "/-/captures", { socketPath: there.proxy.adminSocket });
  const { text: metrics } = await send(there.proxy.port, "/metrics");
  expect(JSON.parse(captures.text).captures ?? JSON.parse(captures.text)).not.toEqual([]);
  expect(JSON.stringify(there.proxy.log) + captures.text + metrics).not.toMatch(
    /Gr.{1,12}nspan|heliotrope|searx\.example/,
  );
});
