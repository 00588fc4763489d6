/** A proxy's life beside its requests: another configuration, a successor, the end. */
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, openStream, post, until } from "./client.ts";
import { answerJson, beginStream, type HeldUpstream, startHeldUpstream } from "./held-upstream.ts";
import { gauge } from "./metrics.ts";
import { model, type Place, startPlace } from "./place.ts";
import { startHousehold, startProxyContainer } from "./proxy-container.ts";

let place: Place;
let upstream: HeldUpstream;

beforeAll(async () => {
  place = await startPlace();
  upstream = await startHeldUpstream(["m", "swapped"]);
});

afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]();
  await place?.[Symbol.asyncDispose]();
});

describe("another configuration", () => {
  const problem = async () => ((await get(`${place.proxy.url}/readyz`)).json as { problem?: string }).problem;

  it("is taken when its file changes, without a restart; a wrong one is told, and changes nothing", async () => {
    const { proxy, sim } = place;
    const thought = async () => {
      await post(`${proxy.url}/v1/responses`, { model, input: "hello sim:think=5" });
      const last = sim.journal().findLast((entry) => entry.event === "finish");
      return last?.event === "finish" && last.reasoningTokens > 0;
    };
    expect(await thought()).toBe(false);
    await proxy.folder.write("proxy.json", { ...proxy.config, models: { [model]: { thinking: "on" } } });
    const asked = { model, reasoning: { effort: "none" }, input: "hello sim:think=5" };
    await until("the new policy holds", async () => {
      const { headers } = await post(`${proxy.url}/v1/responses`, asked);
      return headers.get("x-lmstack-rewritten") !== null;
    });
    expect(await thought()).toBe(true);
    await proxy.folder.write("proxy.json", { ...proxy.config, models: { [model]: { thinking: "sometimes" } } });
    await until("the problem is told", async () => /models.*thinking/s.test((await problem()) ?? ""));
    expect(await thought()).toBe(true);
    await proxy.folder.write("proxy.json", proxy.config);
    await until("the problem is gone", async () => (await problem()) === undefined);
    expect(await thought()).toBe(false);
  });
});

describe("a successor", () => {
  it("takes every new connection, waits for the slots of its predecessor, which ends what it began", async () => {
    await using household = await startHousehold(place.image);
    const models = { m: { slots: 1 }, swapped: { slots: 1 } };
    await using old = await startProxyContainer(place.image, upstream.port, { models }, household);
    const opening = openStream(`${old.url}/v1/responses`, { model: "m", input: "begun", stream: true });
    const begun = await upstream.arrived(1);
    beginStream(begun, "event: a\ndata: {}\n\n");
    const stream = await opening;
    await old.admin("POST", "/-/models/swapped/hold?seconds=300");

    await using next = await startProxyContainer(place.image, upstream.port, { models }, household);
    expect(next.url).toBe(old.url);
    expect((await old.admin("GET", "/healthz")).json).toMatchObject({ listening: false });
    expect((await next.admin("GET", "/healthz")).json).toMatchObject({ listening: true });
    expect(await gauge(next, "lmstack_claimed", "m")).toBe(1);
    expect(await gauge(next, "lmstack_held", "swapped")).toBe(1);
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => (await get(`${next.url}/-/nothing`)).headers.get("x-lmstack-request-id")),
    );
    await until("they are in its log", async () => {
      const log = await next.logText();
      return ids.every((id) => id !== null && log.includes(id));
    });
    const waits = post(`${next.url}/v1/responses`, { model: "m", input: "waits" });
    await until("it waits", async () => (await gauge(next, "lmstack_queued", "m")) === 1);

    const stopping = execa("docker", ["stop", "--time", "60", old.id]);
    await until("the old one drains", async () => (await old.logText()).includes("draining"));
    expect(upstream.requests).toHaveLength(1);
    const end = { type: "response.completed", response: { id: "resp_1", output: [] } };
    begun.response.end(`event: ${end.type}\ndata: ${JSON.stringify(end)}\n\n`);
    await stream.ended;
    expect(stream.events.map(({ event }) => event)).toEqual(["a", end.type]);
    await stopping;
    answerJson(await upstream.arrived(2), {});
    expect((await waits).status).toBe(200);
    expect(await gauge(next, "lmstack_claimed", "m")).toBe(0);
  });
});

describe("the end", () => {
  it("loses nothing that had begun, refuses what comes after, and exits with 0", async () => {
    const slots = 4;
    await using ending = await startProxyContainer(place.image, place.sim.port, { models: { [model]: {} } });
    expect(await ending.folder.others()).toHaveLength(1);
    const question = { model, input: "sim:tokens=200 sim:pace=10", stream: true };
    const streams = await Promise.all(
      Array.from({ length: slots }, () => openStream(`${ending.url}/v1/responses`, question)),
    );
    await until("every stream has begun", () => streams.every(({ events }) => events.length >= 5));
    const stopping = execa("docker", ["stop", "--time", "60", ending.id]);
    await until("nothing new is accepted", () =>
      fetch(`${ending.url}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    expect(streams.every(({ events }) => events.at(-1)?.event !== "response.completed")).toBe(true);
    await Promise.all(streams.map(({ ended }) => ended));
    for (const { events } of streams) {
      expect(events.filter(({ event }) => event === "response.output_text.delta")).toHaveLength(200);
      expect(events.at(-1)?.event).toBe("response.completed");
    }
    await stopping;
    const { stdout } = await execa("docker", ["inspect", "--format", "{{.State.ExitCode}}", ending.id]);
    expect(stdout).toBe("0");
    expect(await ending.folder.others()).toEqual([]);
  });
});
