import { describe, expect, test } from "vitest";
import { startSimServer } from "../../lmstudio-sim/index.ts";
import { events, off, served, shell } from "./served.ts";

const { post } = served();

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
