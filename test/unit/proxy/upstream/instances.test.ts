import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ProxyConfig, proxyConfigSchema } from "../../../../infra/spec/proxy-config.ts";
import { instanceNameFilter } from "../../../../proxy/answer/instance-name.ts";
import { type SimServer, startSimServer } from "../../../lmstudio-sim/index.ts";
import { json, open, send, startTestProxy, type TestProxy } from "../harness.ts";

const beside = "m:lmstack";
let sim: SimServer;
let config: ProxyConfig;
let proxy: TestProxy;

beforeEach(async () => {
  sim = await startSimServer({ models: [{ id: "m", tokenMs: 1 }] });
  const [model] = sim.instances.options.catalog();
  if (model === undefined) throw new Error("no model");
  await sim.instances.load({ model, identifier: beside, contextLength: 9000, parallel: 3 });
  config = proxyConfigSchema.parse({ upstream: sim.url, models: { m: {} }, listen: { port: 0 } });
  proxy = await startTestProxy(() => config);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await sim.close();
});

const move = (instance: string) => {
  config = { ...config, instances: { m: instance } };
};
const bodies = [
  ["/v1/responses", { model: "m", input: "hello" }],
  ["/v1/chat/completions", { model: "m", messages: [{ role: "user", content: "hello" }] }],
  ["/v1/messages", { model: "m", max_tokens: 50, messages: [{ role: "user", content: "hello" }] }],
  ["/v1/completions", { model: "m", prompt: "hello" }],
  ["/api/v1/chat", { model: "m", input: "hello" }],
] as const;
const askedFor = (path: string) => sim.bodies(path).map(({ model }) => model);

describe("a model that another instance answers for", () => {
  it.each(bodies.flatMap(([path, body]) => [false, true].map((stream) => ({ path, body, stream }))))(
    "is asked for by the instance's name and told by its own: $path, stream: $stream",
    async ({ path, body, stream }) => {
      move(beside);
      const { status, text } = await send(proxy.port, path, json({ ...body, stream }));
      expect(status).toBe(200);
      expect(askedFor(path)).toEqual([beside]);
      expect(text).not.toContain("lmstack");
      expect(text).toMatch(/"m"/);
    },
  );

  it("is one model in every list, with what its instance has, and the instance itself is no model", async () => {
    for (const serving of ["m", beside]) {
      move(serving);
      for (const path of ["/v1/models", "/api/v0/models", "/api/v1/models", "/api/v0/models/m"]) {
        const { status, text } = await send(proxy.port, path);
        expect([path, status, text.includes("lmstack")]).toEqual([path, 200, false]);
      }
      const { text } = await send(proxy.port, "/v1/models");
      const { models } = JSON.parse(text) as { models: { slug: string; context_window: number }[] };
      const entry = models.find(({ slug }) => slug === "m");
      expect(entry?.context_window).toBe(serving === "m" ? 200_000 : 9000);
    }
    expect((await send(proxy.port, "/v1/responses", json({ model: beside, input: "hello" }))).status).toBe(404);
    expect((await send(proxy.port, `/v1/models/${beside}`)).status).toBe(404);
    expect(askedFor("/v1/responses")).toEqual([]);
  });

  it("moves under requests that wait: they go to where it is then, and those that run are counted where they are", async () => {
    const admin = (path: string, method = "GET") => send(0, path, { method, socketPath: proxy.adminSocket });
    const running = await open(
      proxy.port,
      "/v1/responses",
      json({ model: "m", input: "sim:tokens=4000", stream: true }),
    );
    running.resume();
    await admin("/-/models/m/hold?seconds=60", "POST");
    const waiting = send(proxy.port, "/v1/responses", json({ model: "m", input: "hello" }));
    const queued = async () => (await admin("/metrics")).text.includes('lmstack_queued{model="m"} 1');
    while (!(await queued()));
    move(beside);
    expect(JSON.parse((await admin("/-/instances")).text)).toEqual({ serving: { m: beside }, running: { m: 1 } });
    await admin("/-/models/m/resume", "POST");
    expect((await waiting).status).toBe(200);
    expect(askedFor("/v1/responses")).toEqual(["m", beside]);
    running.destroy();
  });

  it("is proved by the admin socket while it is held, by its instance, and by nobody else so", async () => {
    const headers = { "content-type": "application/json", "x-lmstack-instance": beside };
    const asked = { body: JSON.stringify({ model: "m", input: "hello" }), headers };
    await send(0, "/-/models/m/hold?seconds=60", { method: "POST", socketPath: proxy.adminSocket });
    const { status, text } = await send(0, "/v1/responses", { ...asked, socketPath: proxy.adminSocket });
    expect([status, text.includes("lmstack"), askedFor("/v1/responses")]).toEqual([200, false, [beside]]);
    await send(0, "/-/models/m/resume", { method: "POST", socketPath: proxy.adminSocket });
    await send(proxy.port, "/v1/responses", asked);
    expect(askedFor("/v1/responses")).toEqual([beside, "m"]);
  });
});

it("an instance's name is replaced wherever the pieces of an answer are cut, and nothing else is", () => {
  const text = fc
    .array(fc.constantFrom("m:lmstack", "m", ":", "m:lm", "stack", "é", '"'), { maxLength: 20 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, fc.array(fc.nat(40)), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const filter = instanceNameFilter(beside);
      const places = [0, ...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length];
      const pieces = places.slice(1).map((end, i) => filter?.push(bytes.subarray(places[i], end)) ?? Buffer.alloc(0));
      const told = Buffer.concat([...pieces, filter?.end() ?? Buffer.alloc(0)]).toString();
      expect(told).toBe(whole.replaceAll(beside, "m"));
    }),
  );
});
