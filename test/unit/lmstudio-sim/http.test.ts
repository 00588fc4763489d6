import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SimServer, startSimServer } from "../../lmstudio-sim/index.ts";

let sim: SimServer;
beforeAll(async () => {
  sim = await startSimServer({
    models: [
      { id: "Thinker", thinkTokens: 3, tokenMs: 0 },
      { id: "Idle", loaded: false, tokenMs: 0 },
    ],
  });
});
afterAll(() => sim.close());

const post = (path: string, body: unknown, signal?: AbortSignal): Promise<Response> =>
  fetch(`${sim.url}${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });

const events = async (response: Response): Promise<{ event: string | undefined; data: Record<string, unknown> }[]> => {
  const found: { event: string | undefined; data: Record<string, unknown> }[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) =>
      void (data === "[DONE]" || found.push({ event, data: JSON.parse(data) as Record<string, unknown> })),
  });
  parser.feed(await response.text());
  return found;
};

const shell = { type: "function", name: "exec_command", parameters: { type: "object", properties: {} } };
const off = { reasoning: { effort: "none" } };

describe("what is there", () => {
  test("the greeting says that this is LM Studio", async () => {
    expect(await (await fetch(`${sim.url}/lmstudio-greeting`)).json()).toEqual({ lmstudio: true });
  });

  test("an unknown path is 200 with an error in the body (bug tracker 618, 1323)", async () => {
    const response = await fetch(`${sim.url}/nothing?x=1`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ error: "Unexpected endpoint or method. (GET /nothing)" });
  });

  test("/v1/models lists what is merely downloaded too while loading on demand is on", async () => {
    const { data } = (await (await fetch(`${sim.url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(data.map((model) => model.id)).toEqual(["Thinker", "idle"]);
  });

  test("/api/v0/models tells loaded from not loaded and the context in use", async () => {
    const { data } = (await (await fetch(`${sim.url}/api/v0/models`)).json()) as { data: unknown[] };
    expect(data).toMatchObject([
      { id: "Thinker", state: "loaded", loaded_context_length: 200_000 },
      { id: "idle", state: "not-loaded" },
    ]);
    expect(await (await fetch(`${sim.url}/api/v0/models/Thinker`)).json()).toMatchObject({ state: "loaded" });
  });

  test("/api/v1/models shows each loaded instance with its configuration", async () => {
    expect(await (await fetch(`${sim.url}/api/v1/models`)).json()).toMatchObject({
      models: [
        { key: "thinker", loaded_instances: [{ id: "Thinker", config: { context_length: 200_000, parallel: 4 } }] },
        { key: "idle", loaded_instances: [] },
      ],
    });
  });
});

describe("strictness", () => {
  const refusals: [string, string, unknown, number, unknown][] = [
    [
      "a namespace tool (bug tracker 1810)",
      "/v1/responses",
      { tools: [shell, { type: "namespace" }] },
      400,
      { message: "Invalid", param: "tools.1.type", code: "invalid_string" },
    ],
    [
      "a custom tool",
      "/v1/responses",
      { tools: [{ type: "custom", name: "apply_patch" }] },
      400,
      { param: "tools.0.type" },
    ],
    ["a web_search tool", "/v1/responses", { tools: [{ type: "web_search" }] }, 400, { param: "tools.0.type" }],
    [
      "a nested function tool",
      "/v1/responses",
      { tools: [{ type: "function", function: { name: "x" } }] },
      400,
      { param: "tools.0.name", message: "Required" },
    ],
    [
      "parameters that are no object",
      "/v1/responses",
      { tools: [{ ...shell, parameters: { type: "string" } }] },
      400,
      { code: "invalid_union_discriminator" },
    ],
    [
      "text without a format (bug tracker 1576)",
      "/v1/responses",
      { text: {} },
      400,
      { param: "text.format", message: "Required" },
    ],
    [
      "an unknown previous response",
      "/v1/responses",
      { previous_response_id: "resp_x" },
      400,
      { code: "previous_response_not_found" },
    ],
    [
      "a second system message",
      "/v1/responses",
      {
        input: [
          { role: "developer", content: "a" },
          { role: "developer", content: "b" },
          { role: "user", content: "c" },
        ],
      },
      500,
      { message: "System message must be at the beginning." },
    ],
    [
      "instructions beside a developer message",
      "/v1/responses",
      { instructions: "a", input: [{ role: "developer", content: "b" }] },
      500,
      {},
    ],
    [
      "a replayed custom tool call",
      "/v1/responses",
      { input: [{ type: "custom_tool_call", name: "x" }] },
      400,
      { param: "input.0.type" },
    ],
    [
      "a second system message in chat",
      "/v1/chat/completions",
      {
        messages: [
          { role: "user", content: "a" },
          { role: "system", content: "b" },
        ],
      },
      500,
      {},
    ],
    ["an unknown model", "/v1/responses", { model: "nobody" }, 404, { code: "model_not_found", param: "model" }],
    [
      "a prompt beyond the context",
      "/v1/responses",
      { input: "a ".repeat(200_000) },
      400,
      expect.stringMatching(/n_keep: 200004>= n_ctx: 200000/),
    ],
    [
      "a replayed thought",
      "/v1/responses",
      { input: [{ type: "reasoning", summary: [] }] },
      400,
      { param: "input.0.type" },
    ],
    [
      "a tool's output in parts (bug tracker 1077)",
      "/v1/responses",
      { input: [{ type: "function_call_output", call_id: "c", output: [{ type: "input_text", text: "a" }] }] },
      400,
      { param: "input.0.output" },
    ],
    [
      "a tool choice that is an object (bug tracker 670)",
      "/v1/responses",
      { tools: [shell], tool_choice: { type: "function", name: "exec_command" } },
      400,
      { param: "tool_choice" },
    ],
    [
      "an image for a model that takes text only",
      "/v1/responses",
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:image/png;base64," }] }] },
      400,
      { param: "input" },
    ],
    [
      "an unknown key of the REST load (bug tracker 2024)",
      "/api/v1/models/load",
      { parallel: 2 },
      400,
      { param: "parallel" },
    ],
  ];

  test.each(refusals)("%s is refused", async (_name, path, extra, status, error) => {
    const response = await post(path, {
      model: "Thinker",
      ...(path.endsWith("responses") ? { input: "hi" } : {}),
      ...(extra as object),
    });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error });
  });

  test("a prompt beyond the context ends a stream with an error event (goose 11318)", async () => {
    const response = await post("/v1/responses", { model: "Thinker", input: "a ".repeat(200_000), stream: true });
    expect(response.status).toBe(200);
    const { event, data } = (await events(response)).at(-1) ?? {};
    expect(event).toBe("error");
    expect(data).toEqual({ error: { message: data?.message }, message: expect.stringMatching(/does not fit/) });
  });

  test("fields and usage are as strict as a test asks for", async () => {
    await using strict = await startSimServer({ refusedFields: ["include"], bareUsage: true });
    const ask = (extra: object) =>
      fetch(`${strict.url}/v1/responses`, {
        method: "POST",
        body: JSON.stringify({ model: "sim-thinker", input: "hi", ...off, ...extra }),
      });
    expect((await ask({ include: [] })).status).toBe(400);
    const { usage } = (await (await ask({})).json()) as { usage: unknown };
    expect(usage).toEqual({
      input_tokens: 5,
      input_tokens_details: {},
      output_tokens: 3,
      output_tokens_details: {},
    });
  });

  test("an agent decides what is called and said, and a server that was down has its port again", async () => {
    await using sim = await startSimServer({
      models: [
        {
          id: "m",
          agent: ({ messages }) => [
            messages.some(({ role }) => role === "tool")
              ? { kind: "text", text: "done" }
              : { kind: "tool", name: "a", arguments: "{}" },
          ],
        },
      ],
    });
    const ask = async (...input: object[]) => {
      const body = JSON.stringify({ model: "m", input: [{ role: "user", content: "hi" }, ...input], ...off });
      return await (await fetch(`${sim.url}/v1/responses`, { method: "POST", body })).json();
    };
    expect(await ask()).toMatchObject({ output: [{ type: "function_call", name: "a" }] });
    await sim.down();
    await expect(ask()).rejects.toThrow("fetch failed");
    await sim.up();
    expect(await ask({ type: "function_call_output", call_id: "c", output: "" })).toMatchObject({
      output: [{ content: [{ text: "done" }] }],
    });
  });

  test("a body that is no JSON is a 400", async () => {
    expect((await post("/v1/responses", "{")).status).toBe(400);
  });

  test("Codex's own first request is refused as it stands", async () => {
    const body = {
      model: "Thinker",
      stream: true,
      input: [
        { type: "message", role: "developer", content: [{ type: "input_text", text: "a" }] },
        { type: "message", role: "developer", content: [{ type: "input_text", text: "b" }] },
        { type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] },
      ],
      tools: [shell, { type: "web_search" }],
      store: false,
    };
    expect((await post("/v1/responses", body)).status).toBe(400);
    expect((await post("/v1/responses", { ...body, tools: [shell] })).status).toBe(500);
    expect((await post("/v1/responses", { ...body, tools: [shell], input: body.input.slice(1) })).status).toBe(200);
  });
});

describe("/v1/responses", () => {
  test("a stream has the documented events in order, numbered, with usage at the end", async () => {
    const found = await events(await post("/v1/responses", { model: "Thinker", input: "one two", stream: true }));
    const names = found.map(({ data }) => data.type as string).filter((name, index, all) => name !== all[index - 1]);
    expect(names).toEqual([
      "response.created",
      "response.in_progress",
      ...[
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
      ].map((name) => `response.${name}`),
      ...[
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
      ].map((name) => `response.${name}`),
      "response.completed",
    ]);
    expect(found.map(({ data }) => data.sequence_number)).toEqual(found.map((_, index) => index));
    expect(found.every(({ event, data }) => event === data.type)).toBe(true);
    expect(found.at(-1)?.data).toMatchObject({
      response: {
        status: "completed",
        usage: {
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 3 },
          input_tokens_details: { cached_tokens: 0 },
        },
        output: [{ type: "reasoning" }, { type: "message", content: [{ text: "You said: one two" }] }],
      },
    });
  });

  test("a call of exec_command comes as arguments.done only, and its output is answered in text", async () => {
    const input: unknown[] = [{ role: "user", content: "go" }];
    const first = await events(
      await post("/v1/responses", { model: "Thinker", input, tools: [shell], stream: true, ...off }),
    );
    const names = first.map(({ data }) => data.type);
    expect(names).toContain("response.function_call_arguments.done");
    expect(names).not.toContain("response.function_call_arguments.delta");
    const call = (
      (first.at(-1) as (typeof first)[0]).data.response as {
        output: { call_id: string; name: string; arguments: string }[];
      }
    ).output[0];
    expect(call).toMatchObject({ type: "function_call", name: "exec_command" });
    expect(JSON.parse(call?.arguments ?? "")).toEqual({ cmd: "echo lmstack-step-1" });
    input.push(call, {
      type: "function_call_output",
      call_id: call?.call_id,
      output: "Wall time: 0.1\nOutput:\nlmstack-step-1\n",
    });
    const second = await (await post("/v1/responses", { model: "Thinker", input, tools: [shell], ...off })).json();
    expect(second).toMatchObject({
      output: [{ content: [{ text: "Done in 1 step. The last command printed: lmstack-step-1" }] }],
    });
  });

  test("the user's words set the number of steps", async () => {
    const input = [
      { role: "user", content: "go sim:steps=2" },
      { type: "function_call", name: "exec_command", arguments: "{}", call_id: "c" },
      { type: "function_call_output", call_id: "c", output: "x" },
    ];
    expect(
      await (await post("/v1/responses", { model: "Thinker", input, tools: [shell], ...off })).json(),
    ).toMatchObject({ output: [{ type: "function_call", arguments: '{"cmd":"echo lmstack-step-2"}' }] });
  });

  test("the chain remembers what was said but not the instructions", async () => {
    const ask = async (extra: object): Promise<{ id: string; usage: { input_tokens: number } }> =>
      (await (await post("/v1/responses", { model: "Thinker", input: "a", ...off, ...extra })).json()) as never;
    const alone = await ask({});
    const first = await ask({ instructions: "be brief" });
    const chained = await ask({ previous_response_id: first.id });
    // Two messages of five tokens (the question twice) and the answer in between, seven; no instructions.
    expect([alone, first, chained].map((answer) => answer.usage.input_tokens)).toEqual([5, 11, 17]);
    expect((await ask({ previous_response_id: first.id, instructions: "be brief" })).usage.input_tokens).toBe(23);
  });

  test("an answer that reaches its limit is incomplete", async () => {
    expect(
      await (await post("/v1/responses", { model: "Thinker", input: "hi", max_output_tokens: 1, ...off })).json(),
    ).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
  });
});

test("chat streams chunks, then usage when asked, then [DONE]", async () => {
  const response = await post("/v1/chat/completions", {
    model: "Thinker",
    messages: [{ role: "user", content: "hi" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const text = await response.text();
  expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  expect(text).toContain('"reasoning_content":"The"');
  expect(text).toContain('"finish_reason":"stop"');
  expect(text).toContain('"completion_tokens_details":{"reasoning_tokens":3}');
});

test("/v1/messages streams thinking and text as blocks", async () => {
  const found = await events(
    await post("/v1/messages", {
      model: "Thinker",
      max_tokens: 99,
      messages: [{ role: "user", content: "hi" }],
      stream: true,
    }),
  );
  const names = found.map(({ event }) => event).filter((name, index, all) => name !== all[index - 1]);
  const block = ["content_block_start", "content_block_delta", "content_block_stop"];
  expect(names).toEqual(["message_start", ...block, ...block, "message_delta", "message_stop"]);
});

test("a client that goes away stops the generation, and its slot is free again", async () => {
  await using slow = await startSimServer({ models: [{ id: "m", parallel: 1, tokenMs: 20, thinkTokens: 10_000 }] });
  const gone = new AbortController();
  const response = await fetch(`${slow.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "m", input: "hi", stream: true }),
    signal: gone.signal,
  });
  await response.body?.getReader().read();
  const waiting = fetch(`${slow.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "m", input: "hi", ...off }),
  });
  await slow.waitFor((entry) => entry.event === "request" && entry.id === 2);
  expect(slow.journal().filter((entry) => entry.event === "generate")).toHaveLength(1);
  gone.abort();
  expect(await slow.waitFor((entry) => entry.event === "cancel")).toMatchObject({ id: 1 });
  expect((await waiting).status).toBe(200);
});

test("a client that goes away before the first token cancels too", async () => {
  await using slow = await startSimServer({ models: [{ id: "m", prefillMs: 60_000 }] });
  const gone = new AbortController();
  const request = fetch(`${slow.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "m", messages: [] }),
    signal: gone.signal,
  }).catch(() => null);
  await slow.waitFor((entry) => entry.event === "generate");
  gone.abort();
  await slow.waitFor((entry) => entry.event === "cancel" && entry.tokens === 0);
  await request;
});

test("a request for a model that is not loaded loads it, once for two at a time", async () => {
  const body = { model: "idle", input: "hi", ...off };
  const [one, two] = await Promise.all([post("/v1/responses", body), post("/v1/responses", body)]);
  expect([one.status, two.status]).toEqual([200, 200]);
  expect(sim.journal().filter((entry) => entry.event === "load" && entry.jit)).toHaveLength(1);
});

test("with loading on demand off only what is loaded is listed or answered", async () => {
  await using strict = await startSimServer({
    models: [{ id: "a" }, { id: "b", loaded: false }],
    settings: { justInTimeModelLoading: false },
  });
  expect(await (await fetch(`${strict.url}/v1/models`)).json()).toMatchObject({ data: [{ id: "a" }] });
  expect(
    (await fetch(`${strict.url}/v1/responses`, { method: "POST", body: JSON.stringify({ model: "b", input: "" }) }))
      .status,
  ).toBe(404);
});
