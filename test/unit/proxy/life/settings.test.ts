import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Settings } from "../../../../proxy/life/settings.ts";
import { json, open, send, until } from "../harness.ts";
import { ask, freePort, heldStreams, Processes } from "./processes.ts";

const entry = (id: string) => ({ id, sha256: createHash("sha256").update(`key-${id}`).digest("hex") });

describe("settings", () => {
  let folder: string;
  let lines: Record<string, unknown>[];
  let settings: Settings;
  const base = { upstream: "http://127.0.0.1:9" };
  const write = async (name: string, value: unknown) => {
    const file = join(folder, name);
    await writeFile(`${file}.new`, typeof value === "string" ? value : JSON.stringify(value), { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  const open = async (config: object) => {
    await write("proxy.json", config);
    const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    settings = await Settings.open(join(folder, "proxy.json"), log);
  };
  const told = (words: string) => lines.filter(({ msg }) => String(msg).includes(words));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lmstack-settings-"));
    lines = [];
  });
  afterEach(async () => {
    settings.close();
    await rm(folder, { recursive: true });
  });

  it("are the same object until something else was read, so that who compares them sees a change at once", async () => {
    await open(base);
    const { current } = settings;
    let heard = 0;
    settings.onChange(() => heard++);
    expect(settings.current).toBe(current);
    await write("proxy.json", { ...base, captures: 7 });
    await settings.reload();
    expect(settings.current).not.toBe(current);
    expect([settings.current.captures, current.captures, heard]).toEqual([7, 0, 1]);
  });

  it.each([
    ["the configuration", async () => write("proxy.json", { ...base, keysFile: "keys.json", captures: 7 })],
    ["the keys", async () => write("keys.json", { keys: [entry("a"), entry("b")] })],
  ])("follow a change of %s without being told", async (_name, change) => {
    await write("keys.json", { keys: [entry("a")] });
    await open({ ...base, keysFile: "keys.json" });
    expect(settings.current.keys.map(({ id }) => id)).toEqual(["a"]);
    const { current } = settings;
    await change();
    await until("it was read", () => settings.current !== current);
    const { captures, keys } = settings.current;
    expect(captures === 7 || keys.length === 2).toBe(true);
  });

  it.each([
    ["no JSON", "{", "not valid JSON"],
    ["an unknown key", { ...base, colour: "blue" }, "colour"],
    ["keys that are not there", { ...base, keysFile: "absent.json" }, "absent.json"],
  ])("stay as they are for a file with %s, and say so once", async (_name, wrong, words) => {
    await open(base);
    const { current } = settings;
    await write("proxy.json", wrong);
    await settings.reload();
    await settings.reload();
    expect(settings.current).toBe(current);
    expect(settings.problem).toContain(words);
    expect(told("the old one stays")).toHaveLength(1);
    await write("proxy.json", base);
    await settings.reload();
    expect(settings.problem).toBeUndefined();
  });

  it("outlive their files, and a repaired one is taken", async () => {
    await open(base);
    await unlink(join(folder, "proxy.json"));
    await until("it was missed", () => settings.problem !== undefined);
    expect(settings.problem).toContain("cannot be read (ENOENT)");
    await write("proxy.json", { ...base, captures: 7 });
    await until("it was read", () => settings.problem === undefined);
    expect(settings.current.captures).toBe(7);
  });

  it("keep address and LM Studio, which a running process cannot change, and take the rest", async () => {
    await open(base);
    const { listen, upstream } = settings.current;
    await write("proxy.json", { upstream: "http://127.0.0.1:10", listen: { port: 1 }, captures: 7 });
    await settings.reload();
    expect(settings.current).toMatchObject({ listen, upstream, captures: 7 });
    expect(told("cannot change while the proxy runs")).toHaveLength(1);
    expect(settings.problem).toBeUndefined();
  });

  it("that changed while they were read are read again", async () => {
    await open(base);
    const reading = settings.reload();
    await write("proxy.json", { ...base, captures: 7 });
    await Promise.all([reading, settings.reload()]);
    expect(settings.current.captures).toBe(7);
  });
});

describe("a changed configuration", () => {
  it("is taken while the proxy runs, and a wrong one is not", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    const base = { listen: { port }, upstream: streams.upstream.url };
    await proxies.configure(base);
    const { child, exit } = proxies.start();
    const serving = await proxies.serving();
    const allowed = async () =>
      (await send(port, "/v1/models", { headers: { origin: "https://page.example" } })).headers[
        "access-control-allow-origin"
      ];
    await proxies.configure({ ...base, cors: ["https://page.example"] });
    child.kill("SIGHUP");
    await proxies.find("it was taken", async () => await allowed());
    await proxies.configure({ ...base, colour: "blue" });
    child.kill("SIGHUP");
    const problem = await proxies.find("it was refused", async () => {
      const { text } = await ask(serving, "/readyz");
      return (JSON.parse(text) as { problem?: string }).problem;
    });
    expect(problem).toContain("colour");
    expect(await allowed()).toBe("https://page.example");
    child.kill("SIGTERM");
    expect((await exit)[0]).toBe(0);
  });

  it("changes keys without losing a request that had begun", async () => {
    await using streams = await heldStreams();
    await using proxies = await Processes.make();
    const port = await freePort();
    const keysFile = join(proxies.folder, "keys.json");
    await proxies.configure({ keys: [entry("old")] }, keysFile);
    await proxies.configure({ listen: { port }, upstream: streams.upstream.url, keysFile: "keys.json" });
    proxies.start();
    const serving = await proxies.serving();
    const as = (id: string) => ({ ...json({ model: "m" }), headers: { authorization: `Bearer key-${id}` } });
    const stream = await open(port, "/v1/responses", { ...as("old"), body: '{"model":"m","stream":true}' });
    stream.resume();
    await proxies.configure({ keys: [entry("new")] }, keysFile);
    const reloaded = await ask(serving, "/-/reload", { method: "POST" });
    expect(JSON.parse(reloaded.text)).toEqual({ problem: null });
    expect((await send(port, "/v1/responses", as("old"))).status).toBe(401);
    expect((await send(port, "/v1/responses", as("new"))).status).toBe(200);
    streams.ends[0]?.();
    await once(stream, "end");
    expect(stream.complete).toBe(true);
  });
});
