import { describe, expect, it } from "vitest";
import { json, open, send, startTestProxy, startUpstream } from "./harness.ts";

const answer =
  '{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],"usage":{"completion_tokens":1}}';
const replying = () =>
  startUpstream((response) => response.writeHead(200, { "content-type": "application/json" }).end(answer));

describe("a request that says whether its model may think", () => {
  const cases = [
    ["the policy", "m", {}, "none"],
    ["an alias", "m:think", {}, undefined],
    ["the other alias", "free:no-think", {}, "none"],
    ["the header", "m", { "x-lmstack-thinking": "on" }, undefined],
    ["the header before the alias", "m:think", { "x-lmstack-thinking": "off" }, "none"],
    ["nothing, where the client decides", "free", {}, undefined],
  ] as const;

  it.each(cases)("is followed: %s", async (_name, model, headers, effort) => {
    await using upstream = await replying();
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { free: { thinking: "client" } } });
    const { status } = await send(proxy.port, "/v1/chat/completions", {
      body: JSON.stringify({ model, messages: [] }),
      headers,
    });
    expect(status).toBe(200);
    const [seen] = upstream.seen;
    const body = JSON.parse(seen?.body ?? "");
    expect(body.model).toBe(model.split(":")[0]);
    expect(body.reasoning_effort).toBe(effort);
    expect(seen?.headers["x-lmstack-thinking"]).toBeUndefined();
  });

  it("takes back a client's own off where thinking is wished for", async () => {
    await using upstream = await replying();
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await send(proxy.port, "/v1/chat/completions", json({ model: "m:think", reasoning_effort: "none" }));
    expect(JSON.parse(upstream.seen[0]?.body ?? "")).toEqual({ model: "m" });
  });

  it("is told when it says something else", async () => {
    await using upstream = await replying();
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const headers = { "x-lmstack-thinking": "maybe" };
    const { status, text } = await send(proxy.port, "/v1/responses", { body: '{"model":"m"}', headers });
    expect(status).toBe(400);
    expect(JSON.parse(text).error.message).toContain('"maybe"');
    expect(upstream.seen).toHaveLength(0);
  });

  it("reads in the answer's head what was done to it", async () => {
    await using upstream = await replying();
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const { headers } = await send(proxy.port, "/v1/chat/completions", json({ model: "m:no-think", messages: [] }));
    expect(headers["x-lmstack-rewritten"]).toBe("model-alias, thinking-off");
    expect(headers["x-lmstack-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("leaves a model alone that is really called like an alias", async () => {
    await using upstream = await replying();
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { "m:think": { thinking: "off" } } });
    await send(proxy.port, "/v1/chat/completions", json({ model: "m:think" }));
    expect(JSON.parse(upstream.seen[0]?.body ?? "")).toEqual({ model: "m:think", reasoning_effort: "none" });
  });
});

it("the list of models names the aliases of each, and to a key only its own models", async () => {
  const list = { object: "list", data: [{ id: "a", object: "model" }, { id: "b" }, { id: "text-embedding-x" }] };
  await using upstream = await startUpstream((response) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(list)),
  );
  const digest = "0d4b0e5a6b5d1a5b0d4b0e5a6b5d1a5b0d4b0e5a6b5d1a5b0d4b0e5a6b5d1a5b";
  const { createHash } = await import("node:crypto");
  const sha256 = createHash("sha256").update("only-for-b").digest("hex");
  await using open = await startTestProxy({ upstream: upstream.url });
  const all = JSON.parse((await send(open.port, "/v1/models")).text);
  expect(all.object).toBe("list");
  expect(all.data.map(({ id }: { id: string }) => id)).toEqual([
    "a",
    "a:think",
    "a:no-think",
    "b",
    "b:think",
    "b:no-think",
    "text-embedding-x",
  ]);
  await using scoped = await startTestProxy({
    upstream: upstream.url,
    keys: [
      { id: "x", sha256: digest },
      { id: "b", sha256, models: ["b"] },
    ],
  });
  const headers = { authorization: "Bearer only-for-b" };
  const own = JSON.parse((await send(scoped.port, "/v1/models", { headers })).text);
  expect(own.data.map(({ id }: { id: string }) => id)).toEqual(["b", "b:think", "b:no-think"]);
});

describe("a model that thinks although it was asked not to", () => {
  it("is asked in another way the next time, until one works", async () => {
    const thinks = (reasoning: number) => ({
      choices: [{ index: 0, message: { role: "assistant", content: "hi" } }],
      usage: { prompt_tokens: 1, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: reasoning } },
    });
    await using upstream = await startUpstream((response, { body }) => {
      const works = JSON.parse(body).messages.length === 2;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(thinks(works ? 0 : 8)));
    });
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const ask = () =>
      send(proxy.port, "/v1/chat/completions", json({ model: "m", messages: [{ role: "user", content: "x" }] }));
    for (let i = 0; i < 4; i++) await ask();
    const messages = upstream.seen.map(({ body }) => JSON.parse(body).messages.length);
    expect(messages).toEqual([1, 2, 2, 2]);
  });
});

describe("a model for which LM Studio takes no prefill", () => {
  const chat = (model: string, ...more: object[]) =>
    json({ model, messages: [{ role: "user", content: "x" }, ...more] });
  const endsWithAssistant = (body: string) => JSON.parse(body).messages.at(-1).role === "assistant";
  /** Its only options have no way to say "off", so that `auto` begins with the prefill. */
  const catalog = {
    models: [
      {
        type: "llm",
        loaded_instances: [{ id: "m", config: {} }],
        capabilities: { reasoning: { allowed_options: ["low", "high"] } },
      },
    ],
  };
  const refusing = (message: string) =>
    startUpstream((response, { body }) => {
      const [status, text] = endsWithAssistant(body) ? [400, JSON.stringify({ error: { message } })] : [200, answer];
      response.writeHead(status, { "content-type": "application/json" }).end(text);
    }, catalog);

  it("answers all the same, and is not asked with one again", async () => {
    await using upstream = await refusing("Assistant response prefill is incompatible with enable_thinking.");
    await using proxy = await startTestProxy({ upstream: upstream.url });
    for (let i = 0; i < 3; i++) expect((await send(proxy.port, "/v1/chat/completions", chat("m"))).status).toBe(200);
    expect(upstream.seen.map(({ body }) => endsWithAssistant(body))).toEqual([true, false, false, false]);
    expect(upstream.seen.slice(1).map(({ body }) => JSON.parse(body).reasoning_effort)).toEqual([
      "none",
      "none",
      "none",
    ]);
  });

  it("tells a client of its own prefill, and of every other refusal, in LM Studio's words", async () => {
    const words = "Assistant response prefill is incompatible with enable_thinking.";
    await using upstream = await refusing(words);
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const own = await send(proxy.port, "/v1/chat/completions", chat("m", { role: "assistant", content: "Yes" }));
    expect([own.status, JSON.parse(own.text).error.message, upstream.seen.length]).toEqual([400, words, 1]);
    await using other = await refusing("the prompt is no good");
    await using strict = await startTestProxy({ upstream: other.url });
    const refused = await send(strict.port, "/v1/chat/completions", chat("m"));
    expect([refused.status, refused.text, other.seen.length]).toEqual([
      400,
      '{"error":{"message":"the prompt is no good"}}',
      1,
    ]);
  });

  it("is asked as its owner says where that is the prefill and nothing else", async () => {
    await using upstream = await refusing("no prefill here");
    await using proxy = await startTestProxy({ upstream: upstream.url, noThink: "prefill" });
    expect((await send(proxy.port, "/v1/chat/completions", chat("m"))).status).toBe(400);
    expect(upstream.seen).toHaveLength(1);
  });
});

it("requests of one model share its slots; who waits is told for how long it did", async () => {
  const held: (() => void)[] = [];
  await using upstream = await startUpstream((response) => {
    held.push(() => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
  });
  await using proxy = await startTestProxy({ upstream: upstream.url, models: { m: { slots: 2 } } });
  const answers = [1, 2, 3].map(() => open(proxy.port, "/v1/responses", json({ model: "m" })));
  while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(upstream.seen).toHaveLength(2);
  await send(proxy.port, "/healthz");
  expect(upstream.seen).toHaveLength(2);
  held.shift()?.();
  while (upstream.seen.length < 3) await new Promise((resolve) => setImmediate(resolve));
  for (const finish of held.splice(0)) finish();
  const heads = await Promise.all(answers);
  for (const head of heads) head.resume();
  expect(heads.filter(({ headers }) => headers["x-lmstack-queued-ms"] !== undefined)).toHaveLength(1);
});
