import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { json, open, send, until } from "../harness.ts";
import { ask, freePort, heldStreams, Processes } from "./processes.ts";

const message = json({ model: "m" });
const streaming = json({ model: "m", stream: true });
const gauge = async (at: { readonly socketPath: string }, name: string) =>
  Number(new RegExp(`^lmstack_${name} ([0-9]+)$`, "m").exec((await ask(at, "/metrics")).text)?.[1]);

describe.runIf(process.platform === "linux")("a newcomer on the same port", () => {
  it("takes over: its predecessor stops listening, finishes its streams, and they count against the slots", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url, models: { m: { slots: 2 } } });
    const old = proxies.start();
    const first = await proxies.serving();
    const stream = await open(port, "/v1/responses", streaming);
    stream.resume();
    proxies.start();
    const second = await proxies.serving(first);
    expect((await proxies.alive()).map(({ listening }) => listening).sort()).toEqual([false, true]);
    expect(await gauge(second, 'claimed{model="m"}')).toBe(1);
    old.child.kill("SIGTERM");
    await until("the first drains", () => old.lines.some(({ msg }) => String(msg).startsWith("draining")));
    expect(await gauge(second, 'claimed{model="m"}')).toBe(1);
    streams.ends[0]?.();
    await once(stream, "end");
    expect((await old.exit)[0]).toBe(0);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
    expect(await gauge(second, 'claimed{model="m"}')).toBe(0);
  });

  it("hears of models that are held, and one that was let go meanwhile is not held again by what its predecessor tells", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    const models = { "a/b": { slots: 9 }, m: { slots: 9 } };
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url, models });
    proxies.start();
    const first = await proxies.serving();
    const stream = await open(port, "/v1/responses", streaming);
    stream.resume();
    const held = await ask(first, "/-/models/a/b/hold?seconds=60", { method: "POST" });
    expect(JSON.parse(held.text)).toMatchObject({ model: "a/b", running: 0, queued: 0 });
    proxies.start();
    const second = await proxies.serving(first);
    const waiting = send(port, "/v1/responses", json({ model: "a/b" }));
    await proxies.find("it waits", async () => ((await gauge(second, 'queued{model="a/b"}')) === 1 ? true : undefined));
    await ask(second, `/-/models/${encodeURIComponent("a/b")}/resume`, { method: "POST" });
    expect((await waiting).status).toBe(200);
    // The predecessor still holds it, and tells so with each change.
    streams.ends[0]?.();
    await once(stream, "end");
    await proxies.find("it was told", async () =>
      (await gauge(second, 'claimed{model="m"}')) === 0 ? true : undefined,
    );
    expect((await send(port, "/v1/responses", json({ model: "a/b" }))).status).toBe(200);
  });

  it("that dies gives the port back to its predecessor", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url });
    proxies.start();
    const first = await proxies.serving();
    const { child } = proxies.start();
    const second = await proxies.serving(first);
    child.kill("SIGKILL");
    expect((await proxies.serving(second)).pid).toBe(first.pid);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
  });

  it("that is asked to end gives the port back as well", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url });
    proxies.start();
    const first = await proxies.serving();
    const { child, exit } = proxies.start();
    const second = await proxies.serving(first);
    child.kill("SIGTERM");
    expect((await proxies.serving(second)).pid).toBe(first.pid);
    expect((await exit)[0]).toBe(0);
  });

  it("beside other newcomers leaves exactly one that listens", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url });
    proxies.start();
    const first = await proxies.serving();
    const started = [proxies.start(), proxies.start(), proxies.start()];
    const last = await proxies.find("all four are there", async (all) => {
      const ready = started.every(({ lines }) => lines.some(({ msg }) => msg === "listening"));
      return ready && all.length === 4 ? all : undefined;
    });
    expect(last.filter(({ listening }) => listening)).toHaveLength(1);
    expect(last.find(({ pid }) => pid === first.pid)?.listening).toBe(false);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
  });

  it.each([
    ["does not know the call", (response: http.ServerResponse) => response.writeHead(404).end("{}"), 404],
    ["hangs", () => {}, undefined],
  ])("serves although a neighbour %s, and says so", async (_name, answer, status) => {
    await using proxies = await Processes.make();
    await proxies.configure({ listen: { port: await freePort() }, upstream: "http://127.0.0.1:9" });
    const neighbour = http.createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => neighbour.listen(join(proxies.folder, "admin-0.sock"), resolve));
    try {
      const { lines } = proxies.start();
      await until("it serves", () => lines.some(({ msg }) => msg === "listening"));
      const told = lines.find(({ source }) => source === "admin-0.sock");
      expect(told?.msg).toMatch(status === undefined ? /not hand over in time/ : /hands nothing over/);
      expect(told?.status).toBe(status);
    } finally {
      neighbour.closeAllConnections();
      neighbour.close();
    }
  });

  it("on another address leaves its neighbour as it is", async () => {
    await using proxies = await Processes.make();
    await proxies.configure({ listen: { port: await freePort() }, upstream: "http://127.0.0.1:9" });
    proxies.start();
    await proxies.serving();
    await proxies.configure({ listen: { port: await freePort() }, upstream: "http://127.0.0.1:9" });
    proxies.start();
    await proxies.find("both listen", (all) =>
      all.filter(({ listening }) => listening).length === 2 ? all : undefined,
    );
  });
});
