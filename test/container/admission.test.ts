/** Slots, the queue in front of them, and models that are held while they are swapped. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { codeOf, get, openStream, post, until } from "./client.ts";
import { answerJson, beginStream, type HeldUpstream, startHeldUpstream } from "./held-upstream.ts";
import { adminKey, teamKey } from "./keys.ts";
import { gauge } from "./metrics.ts";
import { prepareImage } from "./place.ts";
import { type ProxyContainer, startProxyContainer } from "./proxy-container.ts";
import { removeLeftovers } from "./reaper.ts";

const model = "one-slot";
let upstream: HeldUpstream;
let proxy: ProxyContainer;

beforeAll(async () => {
  const image = await prepareImage();
  upstream = await startHeldUpstream([model]);
  proxy = await startProxyContainer(image, upstream.port, { models: { [model]: { slots: 1 } }, limits: { queue: 3 } });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await removeLeftovers();
});

beforeEach(() => {
  upstream.requests.length = 0;
});

const url = (path = "/v1/responses") => `${proxy.url}${path}`;
const ask = (input: string, asking = {}) => post(url(), { model, input }, asking);
const waiting = (count: number) =>
  until(`${count} wait`, async () => (await gauge(proxy, "lmstack_queued", model)) === count);

describe("a model with one slot", () => {
  it("works on one request; the next ones wait their turn, a conversation's title behind the others", async () => {
    const metadata = JSON.stringify({ thread_source: "thread_title" });
    const first = ask("first");
    const answers = [first];
    await upstream.arrived(1);
    answers.push(ask("a title", { headers: { "x-codex-turn-metadata": metadata } }));
    await waiting(1);
    answers.push(ask("second"));
    await waiting(2);
    answers.push(ask("another team's", { key: adminKey }));
    await waiting(3);
    for (let turn = 1; turn <= 4; turn++) {
      const request = await upstream.arrived(turn);
      expect(upstream.requests).toHaveLength(turn);
      answerJson(request, { turn });
    }
    for (const answer of answers) expect((await answer).status).toBe(200);
    const order = upstream.requests.map(({ body }) => JSON.parse(body).input as string);
    expect(order).toEqual(["first", expect.any(String), expect.any(String), "a title"]);
    expect((await first).headers.has("x-lmstack-queued-ms")).toBe(false);
    expect(Number((await answers[1])?.headers.get("x-lmstack-queued-ms"))).toBeGreaterThan(0);
  });

  it("whose queue is full refuses with 503 and says when to try again, in each client's own form", async () => {
    const clients = [ask("first"), ask("a"), ask("b"), ask("c")];
    await waiting(3);
    const refused = await ask("too many");
    expect([refused.status, codeOf(refused)]).toEqual([503, "queue_full"]);
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const body = { model, max_tokens: 9, messages: [{ role: "user", content: "too many" }] };
    expect(codeOf(await post(url("/v1/chat/completions"), body))).toBe("queue_full");
    const anthropic = await post(url("/v1/messages"), body);
    expect([anthropic.status, codeOf(anthropic)]).toEqual([503, "overloaded_error"]);
    for (let turn = 1; turn <= 4; turn++) answerJson(await upstream.arrived(turn), {});
    for (const client of clients) expect((await client).status).toBe(200);
  });

  it("sends a waiting stream nothing, so that too long a wait still ends in an honest 503", async () => {
    const stream = await beginning("first");
    try {
      await proxy.configure({ limits: { queue: 3, queueSeconds: 0.5 }, heartbeatSeconds: 0.05 });
      const late = await post(url(), { model, input: "late", stream: true });
      expect([late.status, codeOf(late)]).toEqual([503, "queue_timeout"]);
      expect(late.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    } finally {
      await proxy.configure({});
    }
    upstream.requests[0]?.response.end();
    await stream.ended;
    expect(upstream.requests).toHaveLength(1);
  });

  it("forgets a client that leaves the queue", async () => {
    const first = ask("first");
    await upstream.arrived(1);
    const controller = new AbortController();
    const gone = ask("leaves", { signal: controller.signal });
    await waiting(1);
    controller.abort();
    await expect(gone).rejects.toThrow();
    await waiting(0);
    answerJson(await upstream.arrived(1), {});
    await first;
    const next = ask("next");
    expect((await upstream.arrived(2)).body).toContain('"next"');
    answerJson(await upstream.arrived(2), {});
    expect((await next).status).toBe(200);
  });

  it("gives its slot back when a client leaves in the middle of its stream", async () => {
    const stream = await beginning("first");
    const next = ask("next");
    await waiting(1);
    stream.cancel();
    answerJson(await upstream.arrived(2), {});
    expect((await next).status).toBe(200);
  });
});

describe("a model that is being swapped", () => {
  const byKey = (path: string, key = adminKey) => post(url(path), "", { key });
  const bySocket = (path: string) => proxy.admin("POST", path);

  it.each([
    ["the admin socket", bySocket],
    ["a key that may", byKey],
  ])("is held by %s: what runs goes on, what is new waits, and goes on after it", async (_way, call) => {
    const running = await beginning("runs");
    const held = await call(`/-/models/${model}/hold?seconds=60`);
    expect(held).toMatchObject({ status: 200, json: { model, running: 1, queued: 0, heldUntil: expect.any(Number) } });
    const next = ask("waits");
    await waiting(1);
    upstream.requests[0]?.response.end();
    await running.ended;
    await until("nothing runs", async () => (await gauge(proxy, "lmstack_running", model)) === 0);
    expect(await gauge(proxy, "lmstack_held", model)).toBe(1);
    expect(upstream.requests).toHaveLength(1);
    expect(await call(`/-/models/${model}/resume`)).toMatchObject({ status: 200, json: { heldUntil: null } });
    answerJson(await upstream.arrived(2), {});
    expect((await next).status).toBe(200);
  });

  it("goes on by itself when whoever held it never comes back", async () => {
    await bySocket(`/-/models/${model}/hold?seconds=0.3`);
    const next = ask("waits");
    answerJson(await upstream.arrived(1), {});
    expect((await next).status).toBe(200);
  });

  it("is not held by anybody else's key", async () => {
    expect((await byKey(`/-/models/${model}/hold`, teamKey)).status).toBe(403);
    expect((await post(url(`/-/models/${model}/hold`), "", { key: null })).status).toBe(401);
    expect((await get(url("/-/usage"))).status).toBe(403);
    // Calls that end the process are for the socket alone.
    expect((await byKey("/-/drain")).status).toBe(403);
    expect(await gauge(proxy, "lmstack_held", model)).toBe(0);
  });
});

/** A stream that has begun, and holds the slot. */
async function beginning(input: string) {
  const count = upstream.requests.length;
  const opening = openStream(url(), { model, input, stream: true });
  beginStream(await upstream.arrived(count + 1), 'data: {"type":"response.created"}\n\n');
  return await opening;
}
