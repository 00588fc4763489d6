import { describe, expect, test } from "vitest";
import { events, served } from "./served.ts";

const { get, post } = served();

describe("what is there", () => {
  test("the greeting says that this is LM Studio", async () => {
    expect(await (await get("/lmstudio-greeting")).json()).toEqual({ lmstudio: true });
  });

  test("an unknown path is 200 with an error in the body (bug tracker 618, 1323)", async () => {
    const response = await get("/nothing?x=1");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ error: "Unexpected endpoint or method. (GET /nothing)" });
  });

  test("/v1/models lists what is merely downloaded too while loading on demand is on", async () => {
    const { data } = (await (await get("/v1/models")).json()) as { data: { id: string }[] };
    expect(data.map((model) => model.id)).toEqual(["Thinker", "idle"]);
  });

  test("/api/v0/models tells loaded from not loaded and the context in use", async () => {
    const { data } = (await (await get("/api/v0/models")).json()) as { data: unknown[] };
    expect(data).toMatchObject([
      { id: "Thinker", state: "loaded", loaded_context_length: 200_000 },
      { id: "idle", state: "not-loaded" },
    ]);
    expect(await (await get("/api/v0/models/Thinker")).json()).toMatchObject({ state: "loaded" });
  });

  test("/api/v1/models shows each loaded instance with its configuration", async () => {
    expect(await (await get("/api/v1/models")).json()).toMatchObject({
      models: [
        { key: "thinker", loaded_instances: [{ id: "Thinker", config: { context_length: 200_000, parallel: 4 } }] },
        { key: "idle", loaded_instances: [] },
      ],
    });
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
