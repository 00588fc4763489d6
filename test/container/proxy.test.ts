import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SimServer, startSimServer } from "../lmstudio-sim/index.ts";
import { openStream, post } from "./events.ts";
import { type ProxyContainer, startProxyContainer, user } from "./proxy-container.ts";
import { ensureProxyImage } from "./proxy-image.ts";
import { prepareReaper, removeLeftovers } from "./reaper.ts";

const model = "sim-thinker";
/** The stand-in has no slot for more than four answers at once. */
const slots = 4;
let image: string;
let sim: SimServer;
let proxy: ProxyContainer;

beforeAll(async () => {
  await prepareReaper();
  image = await ensureProxyImage();
  sim = await startSimServer({ host: "0.0.0.0", models: [{ id: model, parallel: slots }] });
  proxy = await startProxyContainer(image, sim.port, { models: { [model]: { thinking: "off" } } });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await sim?.close();
  await removeLeftovers();
});

/** One question per endpoint that has a switch for thinking. */
const endpoints = [
  { path: "/v1/responses", question: (text: string) => ({ model, input: text }) },
  ...["/v1/chat/completions", "/api/v0/chat/completions"].map((path) => ({
    path,
    question: (text: string) => ({ model, messages: [{ role: "user", content: text }] }),
  })),
  {
    path: "/v1/messages",
    question: (text: string) => ({ model, max_tokens: 500, messages: [{ role: "user", content: text }] }),
  },
  { path: "/api/v1/chat", question: (text: string) => ({ model, input: text }) },
];

/** Ids of the requests that the stand-in has finished, with the tokens that it thought for them. */
const finished = () => sim.journal().filter((entry) => entry.event === "finish");

describe.each(endpoints)("on $path", ({ path, question }) => {
  it("the model thinks when it is asked directly, and does not through the proxy", async () => {
    for (const stream of [false, true]) {
      for (const [base, thinks] of [
        [sim.url, true],
        [proxy.url, false],
      ] as const) {
        const before = finished().length;
        const answer = await fetch(`${base}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...question("hello"), stream }),
        });
        const text = await answer.text();
        expect(answer.status, text).toBe(200);
        const [last] = finished().slice(before);
        expect((last?.reasoningTokens ?? -1) > 0).toBe(thinks);
        expect(last?.outputTokens).toBeGreaterThan(0);
      }
    }
  });

  it("the first token is out long before the last one is made", async () => {
    const before = finished().length;
    const stream = await openStream(`${proxy.url}${path}`, { ...question("sim:tokens=150 sim:pace=10"), stream: true });
    const text = () => stream.events.filter(({ data }) => /delta|content/.test(data)).length;
    while (text() < 2) await Promise.race([stream.ended, new Promise((resolve) => setTimeout(resolve, 5))]);
    expect(finished()).toHaveLength(before);
    await stream.ended;
    const times = stream.events.map(({ at }) => at);
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(700);
  });

  it.each([
    ["before the first byte", "sim:prefill=60000"],
    ["in the middle of the stream", "sim:tokens=100000 sim:pace=10"],
  ])("a client that leaves %s stops the generation", async (_moment, words) => {
    const journal = sim.journal().length;
    const since = (event: string) =>
      sim
        .journal()
        .slice(journal)
        .some((entry) => entry.event === event);
    const controller = new AbortController();
    const answer = fetch(`${proxy.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...question(words), stream: true, max_tokens: 100_000 }),
      signal: controller.signal,
    });
    answer.catch(() => {});
    await sim.waitFor((entry) => entry.event === "generate" && since("generate"));
    if (words.includes("tokens")) await (await answer).body?.getReader().read();
    const left = performance.now();
    controller.abort();
    await sim.waitFor((entry) => entry.event === "cancel" && since("cancel"));
    expect(performance.now() - left).toBeLessThan(2_000);
  });
});

describe("a Codex request", () => {
  it("is accepted by a strict LM Studio, and says which tools were left out", async () => {
    const developer = (text: string) => ({
      type: "message",
      role: "developer",
      content: [{ type: "input_text", text }],
    });
    const body = {
      model,
      input: [developer("one"), developer("two"), { role: "user", content: [{ type: "input_text", text: "hello" }] }],
      tools: [
        { type: "function", name: "view", strict: false, parameters: { type: "object", properties: {} } },
        { type: "namespace", name: "multi_agent_v1", description: "agents", tools: [] },
        { type: "web_search", external_web_access: false },
      ],
      tool_choice: "auto",
      reasoning: { summary: "auto" },
      text: {},
      store: false,
      include: ["reasoning.encrypted_content"],
    };
    expect((await post(`${sim.url}/v1/responses`, body)).status).toBeGreaterThanOrEqual(400);
    const answer = await post(`${proxy.url}/v1/responses`, body);
    expect(answer.status, JSON.stringify(answer.json)).toBe(200);
    expect(answer.headers.get("x-lmstack-dropped-tools")).toBe("namespace:multi_agent_v1, web_search");
    expect(sim.bodies("/v1/responses").at(-1)).toMatchObject({
      instructions: "one\n\ntwo",
      reasoning: { summary: "auto", effort: "none" },
    });
  });
});

describe("errors", () => {
  const codes = (json: unknown) => (json as { error: { code?: string; type?: string } }).error;

  it("are told in the client's own words", async () => {
    for (const path of ["/v1/responses", "/v1/chat/completions"]) {
      const answer = await post(`${proxy.url}${path}`, '{"model":');
      expect([answer.status, codes(answer.json).code]).toEqual([400, "invalid_json"]);
    }
    const messages = await post(`${proxy.url}/v1/messages`, '{"model":');
    expect(messages).toMatchObject({ status: 400, json: { type: "error", error: { type: "invalid_request_error" } } });
  });

  it("of LM Studio that come with status 200 have the right one behind the proxy", async () => {
    const path = "/v1/chat/completions";
    expect((await fetch(`${sim.url}${path}`)).status).toBe(200);
    const answer = await fetch(`${proxy.url}${path}`);
    expect([answer.status, codes(await answer.json()).code]).toEqual([404, "unknown_path"]);
  });

  it("keep LM Studio's management out of reach", async () => {
    const before = sim.journal().length;
    expect((await post(`${proxy.url}/api/v1/models/unload`, { instance_id: model })).status).toBe(403);
    expect(sim.journal()).toHaveLength(before);
  });

  it("say 503 and when to try again while LM Studio is down, and end a broken stream in words", async () => {
    const dying = http.createServer((request, response) => {
      const die = () => response.destroy();
      request.resume().once("end", () => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write("event: a\ndata: {}\n\n", die);
      });
    });
    dying.listen(0, "0.0.0.0");
    await once(dying, "listening");
    const { port } = dying.address() as AddressInfo;
    await using other = await startProxyContainer(image, port, {});
    const stream = await openStream(`${other.url}/v1/responses`, { model, input: "x", stream: true });
    await stream.ended;
    expect(stream.events.map(({ event }) => event)).toEqual(["a", "response.failed"]);
    dying.closeAllConnections();
    dying.close();
    await once(dying, "close");
    const answer = await post(`${other.url}/v1/responses`, { model, input: "x" });
    expect([answer.status, answer.headers.get("retry-after"), codes(answer.json).code]).toEqual([
      503,
      "2",
      "upstream_down",
    ]);
    const ready = await fetch(`${other.url}/readyz`);
    expect(ready.status).toBe(503);
    expect((await fetch(`${other.url}/healthz`)).status).toBe(200);
  });
});

describe("ending", () => {
  it("loses nothing that had begun, and exits with 0", async () => {
    await using ending = await startProxyContainer(image, sim.port, { models: { [model]: { thinking: "off" } } });
    expect(await ending.shared()).toHaveLength(1);
    const question = { model, input: "sim:tokens=200 sim:pace=15", stream: true };
    const streams = await Promise.all(
      Array.from({ length: slots }, () => openStream(`${ending.url}/v1/responses`, question)),
    );
    while (streams.some(({ events }) => events.length < 5)) await new Promise((resolve) => setTimeout(resolve, 5));
    const stopping = execa("docker", ["stop", "--time", "60", ending.container.getId()]);
    while (
      await fetch(`${ending.url}/healthz`).then(
        () => true,
        () => false,
      )
    )
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(streams.every(({ events }) => events.at(-1)?.event !== "response.completed")).toBe(true);
    await Promise.all(streams.map(({ ended }) => ended));
    for (const { events } of streams) {
      expect(events.filter(({ event }) => event === "response.output_text.delta")).toHaveLength(200);
      expect(events.at(-1)?.event).toBe("response.completed");
    }
    await stopping;
    const { stdout } = await execa("docker", ["inspect", "--format", "{{.State.ExitCode}}", ending.container.getId()]);
    expect(stdout).toBe("0");
    expect(await ending.shared()).toEqual([]);
  });
});

describe("the container", () => {
  it("runs as nobody in particular, on a root that cannot be written, with no capability", async () => {
    const { stdout } = await execa("docker", ["inspect", proxy.container.getId()]);
    const [inspected] = JSON.parse(stdout);
    expect(inspected.Config.User).toBe(user);
    expect(inspected.HostConfig.ReadonlyRootfs).toBe(true);
    const status = await proxy.processStatus();
    expect(status.Uid?.split("\t")).toEqual(Array(4).fill("54321"));
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(status[name]).toMatch(/^0+$/);
    expect(status.NoNewPrivs).toBe("1");
    const write = 'require("node:fs").writeFileSync("/app/x", "")';
    const attempt = await execa("docker", ["exec", proxy.container.getId(), "/usr/local/bin/node", "-e", write], {
      reject: false,
    });
    expect(attempt.stderr).toContain("EROFS");
  });

  it("is ready when the declared model is loaded, and not when it is unloaded", async () => {
    expect((await fetch(`${proxy.url}/readyz`)).status).toBe(200);
    await using other = await startProxyContainer(image, sim.port, { models: { absent: {} } });
    const answer = await fetch(`${other.url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ ready: false, models: { absent: "not loaded" } });
  });

  it("starts in a moment", async () => {
    const line = (await proxy.log()).find(({ msg }) => msg === "listening");
    console.log(`proxy started in ${line?.startupMs} ms (bar: 300)`);
    // The bar is 300 ms on an idle machine; this only catches a start that has become another one.
    expect(line?.startupMs).toBeLessThan(3_000);
  });

  it("has an image that is not root's by default, knows its health, and is small", async () => {
    const { stdout } = await execa("docker", ["image", "inspect", image]);
    const [inspected] = JSON.parse(stdout);
    console.log(`proxy image: ${(inspected.Size / 1e6).toFixed(1)} MB (bar: 190)`);
    expect(inspected.Size).toBeLessThanOrEqual(190e6);
    expect(inspected.Config.User).toBe("65532:65532");
    expect(inspected.Config.Healthcheck.Test).toEqual(["CMD", "/usr/local/bin/node", "/app/proxy.mjs", "health"]);
  });
});
