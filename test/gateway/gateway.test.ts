/** One endpoint in front of many hosts: a real HAProxy with the configuration that the inventory makes. */
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { until } from "../container/client.ts";
import { ask, hostOf, openStream, send } from "./client.ts";
import { GatewayPlace } from "./place.ts";
import type { StandInHost } from "./stand-in-host.ts";
import { declared, killUnderStreams, openHosts, sessions, turnsWhileHostsComeAndGo } from "./trials.ts";

const gatewayOf = async (open: AsyncDisposableStack, hosts: readonly StandInHost[]): Promise<GatewayPlace> =>
  open.use(await GatewayPlace.open(declared(hosts)));

// Each waits for checks of a HAProxy of its own most of the time.
describe.concurrent("the gateway", () => {
  test("a request goes to a host that has its model loaded, wherever the request names it and however large it is", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder"], ["coder", "small.2"]);
    const { url } = await gatewayOf(open, hosts);
    const long = "x".repeat(130_000);
    const longer = "x".repeat(600_000);
    for (const body of [
      { model: "small.2" },
      { model: "small.2:no-think" },
      // The name lies across the end of what is searched first.
      { messages: ["x".repeat(995)], model: "small.2" },
      { messages: [long], model: "small.2" },
      { model: "small.2", messages: [longer] },
    ])
      expect(hostOf(await send(url, "/v1/chat/completions", {}, JSON.stringify(body)))).toBe("box2");
    expect(hostOf(await send(url, "/v1/models/small.2", {}))).toBe("box2");
    const last = JSON.stringify({ messages: [longer], model: "small.2" });
    expect(hostOf(await send(url, "/v1/chat/completions", { "x-lmstack-model": "small.2" }, last))).toBe("box2");
    const refused = await send(url, "/v1/chat/completions", {}, last);
    expect(refused).toMatchObject({ status: 400, text: expect.stringContaining("x-lmstack-model") });

    const spread = await Promise.all(sessions(40).map(async (session) => hostOf(await ask(url, { session }))));
    expect(new Set(spread)).toEqual(new Set(["box1", "box2"]));
  });

  test("the list of models has those of all hosts, for whoever a host lets ask", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder"], ["small.2"]);
    const { url } = await gatewayOf(open, hosts);
    const { status, headers, text } = await send(url, "/v1/models?client_version=0.169.0", {});
    expect([status, headers["content-type"]]).toEqual([200, "application/json"]);
    const list = JSON.parse(text);
    const names = ["coder", "small.2"].flatMap((id) => [id, `${id}:think`, `${id}:no-think`]);
    expect(list.data.map(({ id }: { id: string }) => id).toSorted()).toEqual(names.toSorted());
    expect(list.models.map(({ slug }: { slug: string }) => slug).toSorted()).toEqual(names.toSorted());
    for (const host of hosts) host.refuses = 401;
    expect((await send(url, "/v1/models", { authorization: "Bearer wrong" })).status).toBe(401);
  });

  test("in a rollout a model's requests go where it is loaded, not where it is only declared", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder", "next"], ["coder"], ["coder"]);
    const place = await open.use(
      await GatewayPlace.open(
        hosts.map((host) => ({ host, models: ["coder", "next"] })),
        ["model:next/box2", "model:next/box3"],
      ),
    );
    for (const session of sessions(12)) expect(hostOf(await ask(place.url, { model: "next", session }))).toBe("box1");
    hosts[1]?.loaded.add("next");
    await place.settled(["model:next/box3"]);
    const seen = await Promise.all(
      sessions(40).map(async (session) => hostOf(await ask(place.url, { model: "next", session: `new-${session}` }))),
    );
    expect(new Set(seen)).toEqual(new Set(["box1", "box2"]));
  });

  test("ninety-nine of a hundred turns find the host of the turn before, while hosts come and go", async () => {
    const { kept, moved } = await turnsWhileHostsComeAndGo(60);
    expect(kept).toBeGreaterThan(200);
    expect(kept / (kept + moved)).toBeGreaterThanOrEqual(0.99);
  });

  test("a host that is killed takes nothing but its own streams along, which end with an error of their dialect, and what is new goes elsewhere within two seconds", async () => {
    const { own, others, slowestMs, ...rest } = await killUnderStreams(50);
    expect(own).toBeGreaterThan(0);
    expect(own + others).toBe(50);
    expect(rest).toEqual({ untold: 0, cut: 0, lost: 0 });
    expect(slowestMs).toBeLessThan(2_000);
  });

  test("a host that is drained finishes what it has, gets nothing new, and stays out when HAProxy starts again", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder"], ["coder"]);
    const [first, second] = hosts as [StandInHost, StandInHost];
    const place = await gatewayOf(open, hosts);
    const streams = await Promise.all(sessions(20).map((session) => openStream(place.url, session)));
    const running = first.running;
    expect(running).toBeGreaterThan(0);

    const before = performance.now();
    await place.runtime.drain("box1", 0.2);
    expect(performance.now() - before).toBeLessThan(3_000);
    expect(first.running).toBe(running);
    let drained = false;
    const draining = place.runtime.drain("box1", 60).then(() => {
      drained = true;
    });
    const served = async () =>
      new Set(await Promise.all(sessions(20).map(async (session) => hostOf(await ask(place.url, { session })))));
    expect(await served()).toEqual(new Set(["box2"]));
    expect(drained).toBe(false);
    for (const host of [first, second]) host.finish();
    await draining;
    for (const { end } of streams) expect(await end).toBe("well");

    await place.reload(declared(hosts));
    expect(await served()).toEqual(new Set(["box2"]));
    await place.crash();
    await place.start(["box1"]);
    expect(await served()).toEqual(new Set(["box2"]));
    await place.runtime.undrain("box1");
    await second.die();
    expect(await served()).toEqual(new Set(["box1"]));
  });

  test("a token is with its client when the host says it, not when the next one comes", async () => {
    await using open = new AsyncDisposableStack();
    const [host] = (await openHosts(open, ["coder"])) as [StandInHost];
    const { url } = await gatewayOf(open, [host]);
    const body = JSON.stringify({ model: "coder", stream: true });
    const answer = await fetch(`${url}/v1/responses`, { method: "POST", body });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const before = performance.now();
    for (let token = 1; token <= 10; token++) {
      host.say(`token ${token}`);
      await reader.read();
    }
    // A system that waits for a full packet does so for 200 ms each time.
    expect(performance.now() - before).toBeLessThan(1_000);
    await reader.cancel();
  });

  test("a reload under streams cuts none and refuses nobody", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder"], ["coder"]);
    const place = await gatewayOf(open, hosts);
    const streams = await Promise.all(sessions(10).map((session) => openStream(place.url, session)));
    let over = false;
    const asking = (async () => {
      const statuses = [];
      while (!over) statuses.push((await ask(place.url, { session: "one" })).status);
      return statuses;
    })();
    await place.reload(declared(hosts));
    await place.settled();
    over = true;
    expect(new Set(await asking)).toEqual(new Set([200]));
    for (const host of hosts) host.finish();
    for (const { end } of streams) expect(await end).toBe("well");
  });

  test("a host that refuses before the first byte is asked no more than the others; what has begun is never asked again", async () => {
    await using open = new AsyncDisposableStack();
    const hosts = await openHosts(open, ["coder"], ["coder"]);
    const [first, second] = hosts as [StandInHost, StandInHost];
    const { url } = await gatewayOf(open, hosts);
    first.refuses = 503;
    for (const session of sessions(12)) expect(hostOf(await ask(url, { session }))).toBe("box2");
    first.refuses = null;

    const before = first.seen.length + second.seen.length;
    const { host, end } = await openStream(url, "cut");
    const victim = host === "box1" ? first : second;
    await victim.die();
    expect(await end).toBe("told");
    expect(first.seen.length + second.seen.length).toBe(before + 1);
  });

  test("without a host clients of every dialect read in their own fields that they may ask again", async () => {
    await using open = new AsyncDisposableStack();
    const [host] = (await openHosts(open, ["coder"])) as [StandInHost];
    const place = await gatewayOf(open, [host]);
    expect((await send(place.url, "/readyz", {})).status).toBe(200);
    await host.die();
    await place.settled(["box1"]);
    for (const path of ["/v1/responses", "/v1/messages"]) {
      const { status, headers, text } = await ask(place.url, { path });
      expect([status, headers["retry-after"], headers["content-type"]]).toEqual([503, "2", "application/json"]);
      expect(JSON.parse(text)).toMatchObject({
        type: "error",
        error: { type: "overloaded_error", code: "no_host", message: expect.stringContaining("Ask again") },
      });
    }
    expect((await send(place.url, "/readyz", {})).status).toBe(503);
    expect((await send(place.url, "/healthz", {})).status).toBe(200);
  });

  test("what a host says to its own machine stays closed: no metrics, page or admin path, and it learns where a request came from", async () => {
    await using open = new AsyncDisposableStack();
    const [host] = (await openHosts(open, ["coder"])) as [StandInHost];
    const place = await gatewayOf(open, [host]);
    for (const path of ["/", "/metrics", "/-/live"]) expect((await send(place.url, path, {})).status).toBe(404);
    expect(host.seen).toEqual([]);
    await ask(place.url, { headers: { authorization: "Bearer sk-one" } });
    expect(host.seen[0]?.headers).toMatchObject({ "x-forwarded-for": "127.0.0.1", authorization: "Bearer sk-one" });
    const figures = await fetch(place.metricsUrl).then((answer) => answer.text());
    expect(figures).toMatch(/^haproxy_server_status\{proxy="model:coder",server="box1",state="UP"\} 1$/m);
  });

  test("speaks TLS with the certificate of its file", async () => {
    await using open = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "gateway-tls-"));
    open.defer(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, "llm.pem");
    const words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=llm.example", "-days", "1"];
    await execa("openssl", ["req", ...words, "-keyout", file, "-out", join(folder, "cert.pem")]);
    await appendFile(file, await readFile(join(folder, "cert.pem")));
    const hosts = await openHosts(open, ["coder"]);
    const { url } = open.use(await GatewayPlace.open(declared(hosts), [], { tls: file }));
    expect(hostOf(await ask(url))).toBe("box1");
    const socket = tls.connect({ port: Number(new URL(url).port), rejectUnauthorized: false });
    await once(socket, "secureConnect");
    expect(socket.getPeerCertificate().subject.CN).toBe("llm.example");
    socket.destroy();

    // HAProxy ends a stream of HTTP/2 as if it were whole.
    const session = http2.connect(url, { rejectUnauthorized: false });
    open.defer(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/v1/responses" });
    stream.end(JSON.stringify({ model: "coder", stream: true }));
    await once(stream, "response");
    const said = text(stream);
    await hosts[0]?.die();
    expect(await said).toMatch(/^data: box1\n\nevent: response\.failed\n/);
  });

  test("a host that is not well is told when it is let in again, with what the gateway found", async () => {
    await using open = new AsyncDisposableStack();
    const [host] = (await openHosts(open, ["coder"])) as [StandInHost];
    const place = await gatewayOf(open, [host]);
    await expect(place.runtime.drain("box9", 1)).rejects.toThrow(/box9 is not among the gateway's hosts.*lmstack up/);
    await place.runtime.drain("box1", 1);
    host.loaded.clear();
    const letting = place.runtime.undrain("box1");
    await until("it is let in", async () => (await place.runtime.states()).every(({ status }) => status !== "MAINT"));
    host.loaded.add("coder");
    await letting;
    expect(hostOf(await ask(place.url))).toBe("box1");
  });
});
