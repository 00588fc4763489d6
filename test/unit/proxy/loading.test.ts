import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProxyConfigInput } from "../../../infra/spec/proxy-config.ts";
import { type SimServer, startSimServer } from "../../lmstudio-sim/index.ts";
import { json, send, startTestProxy, until } from "./harness.ts";

let sim: SimServer;
beforeEach(async () => {
  const settings = { justInTimeModelLoading: false };
  sim = await startSimServer({ models: [{ id: "m", loaded: false }], settings });
});
afterEach(async () => await sim.close());

const start = (config: Partial<ProxyConfigInput> = {}) =>
  startTestProxy({ upstream: sim.url, models: { m: { slots: 1 } }, ...config });
const ask = (model = "m") => json({ model, input: "hello" });
const asked = () => sim.bodies("/v1/responses").length;
const looks = () =>
  sim.journal().filter((entry) => entry.event === "request" && entry.path === "/api/v1/models").length;
const load = () => {
  const [model] = sim.instances.options.catalog();
  if (model === undefined) throw new Error("no model");
  return sim.instances.load({ model, identifier: "m", contextLength: 32_768, parallel: 4 });
};
/** Resolves once so many requests wait for the model. */
async function waiting(port: number, count: number): Promise<void> {
  const line = new RegExp(`^lmstack_queued\\{model="m"\\} ${count}$`, "m");
  for (let tries = 0; tries < 500; tries++) if (line.test((await send(port, "/metrics")).text)) return;
  throw new Error(`never ${count} waited`);
}

it("a declared model is in the metrics before anybody has asked for it", async () => {
  await using proxy = await start();
  const { text } = await send(proxy.port, "/metrics");
  for (const gauge of ["running", "queued", "claimed", "held"]) expect(text).toContain(`lmstack_${gauge}{model="m"} 0`);
});

describe("a declared model that is being loaded", () => {
  it("is waited for with nothing sent, and LM Studio is asked for it once a second", async () => {
    await using proxy = await start();
    sim.set({ loadMs: 1_200 });
    const answer = send(proxy.port, "/v1/responses", ask());
    await until("it waits", () => looks() > 0);
    const loading = load();
    await until("LM Studio was asked again", () => looks() > 1);
    expect(asked()).toBe(0);
    await loading;
    const { status, headers } = await answer;
    expect([status, asked(), looks() <= 4]).toEqual([200, 1, true]);
    expect(Number(headers["x-lmstack-queued-ms"])).toBeGreaterThan(1_000);
  });

  it("is waited for no longer than limits.queueSeconds; then the client is told which model, and when to ask again", async () => {
    await using proxy = await start({ limits: { queueSeconds: 1 } });
    const { status, headers, text } = await send(proxy.port, "/v1/responses", ask());
    expect([status, asked()]).toEqual([503, 0]);
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect(text).toMatch(/model_not_loaded/);
    expect(text).toMatch(/has not loaded the model \\"m\\"/);
  });

  it("is not waited for by clients that have gone, nor asked for then", async () => {
    await using proxy = await start();
    const controller = new AbortController();
    const gone = fetch(`http://127.0.0.1:${proxy.port}/v1/responses`, {
      method: "POST",
      body: JSON.stringify({ model: "m", input: "hello" }),
      signal: controller.signal,
    }).catch((error: Error) => error.name);
    await waiting(proxy.port, 1);
    controller.abort();
    expect(await gone).toBe("AbortError");
    await waiting(proxy.port, 0);
    expect(asked()).toBe(0);
  });

  it("does not keep requests for others waiting", async () => {
    await using proxy = await start();
    const first = send(proxy.port, "/v1/responses", ask());
    await waiting(proxy.port, 1);
    expect((await send(proxy.port, "/v1/responses", ask("undeclared"))).status).toBe(400);
    await load();
    expect((await first).status).toBe(200);
  });
});

it("a model that LM Studio lost while it was down is waited for once it is back", async () => {
  await using proxy = await start();
  await load();
  expect((await send(proxy.port, "/v1/responses", ask())).status).toBe(200);
  await sim.down();
  const down = await send(proxy.port, "/v1/responses", ask());
  expect([down.status, down.headers["retry-after"] !== undefined]).toEqual([503, true]);
  await sim.instances.unload("m");
  await sim.up();
  const answer = send(proxy.port, "/v1/responses", ask());
  const before = looks();
  await until("LM Studio was asked again", () => looks() > before);
  await load();
  expect((await answer).status).toBe(200);
});

it.each(["/v1/chat/completions", "/v1/responses", "/v1/messages"])(
  "a model that goes between the look and the request is nobody's wrong request: %s is told to come again",
  async (path) => {
    await using proxy = await start();
    await load();
    const messages = [{ role: "user", content: "hello" }];
    const ask = (model: string) => send(proxy.port, path, json({ model, input: "hello", messages, max_tokens: 8 }));
    expect((await ask("m")).status).toBe(200);
    await sim.instances.unload("m");
    const { status, headers, text } = await ask("m");
    expect([status, Number(headers["retry-after"]) > 0], text).toEqual([503, true]);
    expect(text).toMatch(/not found/);
  },
);
