import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { json, listen, open, send, until } from "../harness.ts";
import { freePort, type HeldStreams, heldStreams, Processes, type Started } from "./processes.ts";

const message = json({ model: "m" });
const streaming = json({ model: "m", stream: true });

describe("a parent that holds the socket", () => {
  let streams: HeldStreams;
  let proxies: Processes;
  beforeEach(async () => {
    streams = await heldStreams();
    proxies = await Processes.make();
  });
  afterEach(async () => {
    await proxies[Symbol.asyncDispose]();
    await streams[Symbol.asyncDispose]();
  });

  const configure = (port: number, more: object = {}) =>
    proxies.configure({ listen: { port }, upstream: streams.upstream.url, ...more });
  const hold = async (port: number) => {
    await configure(port);
    const parent = proxies.start("hold");
    return { parent, first: await proxies.serving() };
  };
  const says = (parent: Started, words: string) =>
    until(words, () => parent.lines.some(({ msg }) => String(msg).includes(words)));

  it("replaces the serving process without refusing or cutting anybody", async () => {
    const port = await freePort();
    const { parent, first } = await hold(port);
    const stream = await open(port, "/v1/responses", streaming);
    stream.resume();
    let going = true;
    const statuses = new Set<number>();
    const knocking = (async () => {
      while (going) statuses.add((await send(port, "/v1/responses", message)).status);
    })();
    parent.child.kill("SIGHUP");
    await proxies.serving(first);
    streams.ends[0]?.();
    await once(stream, "end");
    going = false;
    await knocking;
    expect([...statuses]).toEqual([200]);
    await proxies.find("the first is gone", (all) => (all.every(({ pid }) => pid !== first.pid) ? all : undefined));
    parent.child.kill("SIGTERM");
    expect((await parent.exit)[0]).toBe(0);
    expect(await proxies.alive()).toEqual([]);
  });

  it("starts the serving process again when it was killed, and loses no connection meanwhile", async () => {
    const port = await freePort();
    const { first } = await hold(port);
    process.kill(first.pid, "SIGKILL");
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
    expect((await proxies.serving()).pid).not.toBe(first.pid);
  });

  it("moves to another address when the configuration says so, and streams on the former one go on", async () => {
    const port = await freePort();
    const { parent, first } = await hold(port);
    const stream = await open(port, "/v1/responses", streaming);
    stream.resume();
    const other = await freePort();
    await configure(other);
    parent.child.kill("SIGHUP");
    await proxies.serving(first);
    expect((await send(other, "/v1/responses", message)).status).toBe(200);
    await expect(send(port, "/healthz")).rejects.toThrow("ECONNREFUSED");
    streams.ends[0]?.();
    await once(stream, "end");
    expect(stream.complete).toBe(true);
  });

  it.each([
    ["is wrong", { colour: "blue" }, "nothing is replaced"],
    ["lets no successor start", { keysFile: "absent.json" }, "the other one goes on"],
  ])("goes on as before when the new configuration %s", async (_name, more, words) => {
    const port = await freePort();
    const { parent, first } = await hold(port);
    await configure(port, more);
    parent.child.kill("SIGHUP");
    await says(parent, words);
    expect((await proxies.serving()).pid).toBe(first.pid);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
  });

  it("does not cut off a predecessor that still finishes its streams when it is asked to end itself", async () => {
    const port = await freePort();
    const { parent, first } = await hold(port);
    const stream = await open(port, "/v1/responses", streaming);
    stream.resume();
    parent.child.kill("SIGHUP");
    const second = await proxies.serving(first);
    await proxies.find("the first was asked to end", (all) =>
      all.some(({ pid, status }) => pid === first.pid && status === "draining") ? all : undefined,
    );
    parent.child.kill("SIGTERM");
    await proxies.find("the second is gone", (all) => (all.every(({ pid }) => pid !== second.pid) ? all : undefined));
    await proxies.find("new connections are refused", async () => {
      const outcome = await send(port, "/healthz").catch((error: NodeJS.ErrnoException) => error);
      return outcome instanceof Error && outcome.code === "ECONNREFUSED" ? outcome : undefined;
    });
    streams.ends[0]?.();
    await once(stream, "end");
    expect(stream.complete).toBe(true);
    expect((await parent.exit)[0]).toBe(0);
  });

  it("that was killed takes its child along, and the next one has the port", async () => {
    const port = await freePort();
    const { parent, first } = await hold(port);
    parent.child.kill("SIGKILL");
    await proxies.find("the child is gone", (all) => (all.length === 0 ? all : undefined));
    proxies.start("hold");
    expect((await proxies.serving()).pid).not.toBe(first.pid);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
  });

  it("says who has its port instead of serving on another one", async () => {
    const taken = net.createServer();
    const port = await listen(taken);
    await configure(port);
    const { errors, exit } = proxies.start("hold");
    expect((await exit)[0]).toBe(2);
    expect(errors.join("")).toContain(`127.0.0.1:${port} (EADDRINUSE)`);
    taken.close();
  });

  it.runIf(process.platform === "linux")("takes the port over from a proxy that has no parent", async () => {
    const port = await freePort();
    await configure(port);
    proxies.start();
    const first = await proxies.serving();
    proxies.start("hold");
    await proxies.serving(first);
    expect((await send(port, "/v1/responses", message)).status).toBe(200);
  });
});
