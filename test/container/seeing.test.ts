/** What can be seen of a running proxy, by whom, and what nobody sees. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, openStream, post, until } from "./client.ts";
import { teamKey } from "./keys.ts";
import { metricsOf } from "./metrics.ts";
import { model, type Place, startPlace } from "./place.ts";

let place: Place;

beforeAll(async () => {
  place = await startPlace();
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const url = (path: string) => `${place.proxy.url}${path}`;
const basic = `Basic ${Buffer.from(`anybody:${teamKey}`).toString("base64")}`;
const bearer = `Bearer ${teamKey}`;
const look = (path: string, authorization?: string) =>
  fetch(url(path), { headers: authorization === undefined ? {} : { authorization } });

describe("probes", () => {
  it("are answered without a key: the process is up, and the declared models are loaded", async () => {
    expect(await get(url("/healthz"), { key: null })).toMatchObject({
      status: 200,
      json: { status: "ok", listening: true },
    });
    expect(await get(url("/readyz"), { key: null })).toMatchObject({ status: 200, json: { ready: true } });
  });

  it("say which declared model is not loaded, and are content again when it is no longer declared", async () => {
    await place.proxy.configure({ models: { [model]: {}, absent: {} } });
    const { status, json } = await get(url("/readyz"), { key: null });
    expect([status, json]).toMatchObject([503, { ready: false, models: { absent: "not loaded", [model]: "loaded" } }]);
    await place.proxy.configure({});
    expect((await get(url("/readyz"), { key: null })).status).toBe(200);
  });
});

describe("metrics", () => {
  it("are shown with a key alone, and to those on the proxy's own host", async () => {
    expect((await look("/metrics")).status).toBe(401);
    expect((await look("/metrics", bearer)).status).toBe(200);
    const local = 'fetch("http://127.0.0.1:8080/metrics").then(({ status }) => console.log(status))';
    expect(await place.proxy.evaluate(local)).toBe("200");
  });

  it("count requests, tokens, thoughts and cancels, time first tokens, and show slots, queue and cards", async () => {
    await (await openStream(url("/v1/responses"), { model, input: "hello", stream: true })).ended;
    const text = await metricsOf(place.proxy);
    const value = (line: string) =>
      Number(
        text
          .split("\n")
          .find((one) => one.startsWith(line))
          ?.split(" ")
          .at(-1),
      );
    const labels = `{model="${model}",key="team"`;
    expect(value(`lmstack_requests_total${labels},endpoint="/v1/responses",status="200"}`)).toBeGreaterThan(0);
    expect(value(`lmstack_output_tokens_total${labels}}`)).toBeGreaterThan(0);
    for (const name of ["leaks_total", "cancelled_requests_total", "slots", "queued", "running", "held", "claimed"]) {
      expect(value(`lmstack_${name}{model="${model}"}`), name).toBeGreaterThanOrEqual(0);
    }
    expect(value(`lmstack_time_to_first_token_seconds_count{model="${model}"}`)).toBeGreaterThan(0);
    expect(value("lmstack_ready")).toBe(1);
    expect(text).toContain("# TYPE lmstack_gpu_memory_used_bytes gauge");
    expect(text).not.toContain("sk-");
  });
});

describe("the status page", () => {
  it("opens in a browser that sends the key as a password, and asks for it where there is none", async () => {
    const asked = await look("/");
    expect(asked.status).toBe(401);
    expect(asked.headers.get("www-authenticate")).toContain("Basic");
    const page = await look("/", basic);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const html = await page.text();
    expect(html).toContain(model);
    expect(html).not.toContain(teamKey);
  });

  it("is kept up to date by events", async () => {
    const controller = new AbortController();
    const { status, body } = await fetch(url("/-/live"), {
      headers: { authorization: basic },
      signal: controller.signal,
    });
    expect(status).toBe(200);
    const first = await body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toMatch(/^(retry|data|event)/);
    controller.abort();
  });
});

describe("the log", () => {
  it("has one line for each request, under the id that the client was told, and not a word of what was said", async () => {
    const secret = "rhubarb-crumble";
    const asked = await post(url("/v1/chat/completions"), {
      model,
      messages: [{ role: "user", content: `repeat ${secret}` }],
    });
    expect(JSON.stringify(asked.json)).toContain(secret);
    const refused = await post(url("/v1/responses"), `{"input":"${secret}`, { key: "sk-wrong-rhubarb" });
    expect(refused.status).toBe(401);
    const broken = await post(url("/v1/responses"), `{"input":"${secret}`);
    expect(broken.status).toBe(400);
    const id = ({ headers }: { headers: Headers }) => headers.get("x-lmstack-request-id") ?? "none";
    await until("the lines are there", async () => (await place.proxy.logText()).includes(id(broken)));
    const lines = await place.proxy.log();
    const lineOf = (answer: { headers: Headers }) => lines.filter(({ requestId }) => requestId === id(answer));
    expect(lineOf(asked)).toMatchObject([
      { msg: "request", model, key: "team", endpoint: "/v1/chat/completions", status: 200, outcome: "complete" },
    ]);
    expect(lineOf(asked)[0]).toMatchObject({ output: expect.any(Number), reasoning: 0, ms: expect.any(Number) });
    expect(lineOf(refused)).toMatchObject([{ status: 401, code: "invalid_api_key" }]);
    expect(lineOf(broken)).toMatchObject([{ status: 400, code: "invalid_json", key: "team" }]);
    const text = await place.proxy.logText();
    expect(text).not.toContain("rhubarb");
    expect(text).not.toContain(teamKey);
  });
});
