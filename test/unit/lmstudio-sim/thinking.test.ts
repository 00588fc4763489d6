import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SimServer, startSimServer } from "../../lmstudio-sim/index.ts";

let sim: SimServer;
beforeAll(async () => {
  sim = await startSimServer({ models: [{ id: "thinker", thinkTokens: 7, tokenMs: 0 }] });
});
afterAll(() => sim.close());

const post = async (path: string, body: unknown): Promise<{ status: number; json: Record<string, never> }> => {
  const response = await fetch(`${sim.url}${path}`, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, json: (await response.json()) as Record<string, never> };
};

const user = [{ role: "user", content: "hi" }];
const chat = { model: "thinker", messages: user };
const responses = { model: "thinker", input: "hi" };

/** Bug tracker 2057, 988, 2195, 1990, 2413 and the live probe of the flat form: section 3.4 of the collected facts. */
const table: [string, Record<string, unknown>, boolean][] = [
  ["/v1/chat/completions", {}, true],
  ["/v1/chat/completions", { reasoning_effort: "none" }, false],
  ["/api/v0/chat/completions", { reasoning_effort: "none" }, false],
  ["/v1/chat/completions", { reasoning_effort: "off" }, true],
  ["/v1/chat/completions", { reasoning_effort: "low" }, true],
  ["/v1/chat/completions", { chat_template_kwargs: { enable_thinking: false } }, true],
  ["/v1/chat/completions", { enable_thinking: false }, true],
  ["/v1/chat/completions", { enableThinking: false }, true],
  ["/v1/chat/completions", { reasoning: { effort: "none" } }, true],
  ["/v1/responses", {}, true],
  ["/v1/responses", { reasoning: { effort: "none" } }, false],
  ["/v1/responses", { reasoning: { summary: "auto" } }, true],
  ["/v1/responses", { reasoning_effort: "none" }, true],
  ["/api/v1/chat", { reasoning: "off" }, false],
  ["/api/v1/chat", {}, true],
  ["/v1/messages", { max_tokens: 500 }, true],
  ["/v1/messages", { max_tokens: 500, thinking: { type: "disabled" } }, false],
];

describe("thinking is switched off only by what LM Studio honours", () => {
  test.each(table)("%s with %j: thinks %s", async (path, extra, thinks) => {
    const base = path.includes("chat/completions") || path === "/v1/messages" ? chat : responses;
    const { status, json } = await post(path, { ...base, ...extra });
    expect(status).toBe(200);
    const generated = sim.journal().findLast((entry) => entry.event === "generate");
    expect(generated).toMatchObject({ thinks });
    const text = JSON.stringify(json);
    expect(text.includes("The user wants")).toBe(thinks);
    const reasoning = [...text.matchAll(/"reasoning(?:_output)?_tokens":(\d+)/g)].map((match) => Number(match[1]));
    if (path !== "/v1/messages") expect(reasoning).toEqual([thinks ? 7 : 0]);
  });
});

test("a prefilled answer is refused where the model would think, and continued where it would not (llama.cpp 20861)", async () => {
  const prefilled = { ...chat, messages: [...user, { role: "assistant", content: "<think>\n\n</think>\n\n" }] };
  expect(await post("/v1/chat/completions", prefilled)).toMatchObject({
    status: 400,
    json: { error: { message: expect.stringContaining("incompatible with enable_thinking") } },
  });
  expect((await post("/v1/chat/completions", { ...prefilled, reasoning_effort: "none" })).status).toBe(200);
  sim.set({ prefill: "honoured" });
  expect((await post("/v1/chat/completions", prefilled)).json).toMatchObject({
    usage: { completion_tokens_details: { reasoning_tokens: 0 } },
  });
  sim.set({ prefill: "ignored" });
  expect((await post("/v1/chat/completions", prefilled)).json).toMatchObject({
    usage: { completion_tokens_details: { reasoning_tokens: 7 } },
  });
  sim.set({ prefill: "refused" });
});

test("the per-model default switches thinking off for every request that says nothing", async () => {
  await using other = await startSimServer({ models: [{ id: "quiet", enableThinking: false, tokenMs: 0 }] });
  const response = await fetch(`${other.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "quiet", messages: user }),
  });
  expect(await response.json()).toMatchObject({ usage: { completion_tokens_details: { reasoning_tokens: 0 } } });
});

test("an unrecognised reasoning model thinks whatever the request says and shows no reasoning option (bug tracker 2284)", async () => {
  sim.set({ reasoningNotRecognised: true });
  const { json } = await post("/v1/chat/completions", { ...chat, reasoning_effort: "none" });
  expect(json).toMatchObject({ usage: { completion_tokens_details: { reasoning_tokens: 7 } } });
  expect(await (await fetch(`${sim.url}/api/v1/models`)).text()).not.toContain("allowed_options");
  sim.set({ reasoningNotRecognised: false });
  expect(await (await fetch(`${sim.url}/api/v1/models`)).text()).toContain('"allowed_options":["off","on"]');
});

test("thinking can leak into the answer between tags", async () => {
  sim.set({ thinkTagsLeak: true });
  const { json } = await post("/v1/chat/completions", chat);
  sim.set({ thinkTagsLeak: false });
  expect(JSON.stringify(json)).toMatch(/"content":"<think>\\nThe user.*<\/think>\\n\\nYou said: hi"/);
});
