import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleProxy } from "../../../../infra/host/bundle.ts";
import { freePort, Scratch } from "../scratch.ts";

let host: Scratch;
beforeAll(async () => {
  host = await Scratch.make({ lmstudio: false });
});
afterAll(() => host[Symbol.asyncDispose]());

const key = (id: string, digit = "a") => ({ id, sha256: digit.repeat(64) });
const document = (keys?: readonly object[]) => {
  const config = {
    listen: { host: "127.0.0.1", port: host.port },
    upstream: "http://127.0.0.1:1",
    ...(keys ? { keysFile: "keys.json" } : {}),
  };
  return { stack: "test", token: "t", become: "none", runtime: "docker", config, ...(keys ? { keys } : {}) };
};
const at = (name: string) => join(host.home, ".lmstack/proxy", name);
const changes = async (keys?: readonly object[]) =>
  (await host.must("converge", "proxy-files", document(keys))).changed.map(({ what, to }) => `${what} ${to}`);
const drifted = async () => {
  const { filesSha256, expectedFilesSha256 } = (await host.observe()).proxy;
  return filesSha256 !== expectedFilesSha256;
};

test("keys lie beside the configuration, for their owner only, and other keys leave the configuration as it is", async () => {
  expect(await changes([key("a")])).toEqual(["proxy.json written", "keys.json written"]);
  expect(JSON.parse(await readFile(at("keys.json"), "utf8"))).toEqual({
    keys: [{ ...key("a"), models: ["*"], admin: false }],
  });
  expect((await stat(at("keys.json"))).mode & 0o777).toBe(0o600);
  expect(await readFile(at("proxy.json"), "utf8")).not.toContain("a".repeat(64));
  expect(await changes([key("a")])).toEqual([]);
  expect(await changes([key("a", "b"), key("c")])).toEqual(["keys.json written"]);
  expect(await drifted()).toBe(false);
});

test("keys that were edited or removed by hand are seen, and put back", async () => {
  const text = await readFile(at("keys.json"), "utf8");
  await writeFile(at("keys.json"), text.replace("b".repeat(64), "d".repeat(64)));
  expect(await drifted()).toBe(true);
  expect(await changes([key("a", "b"), key("c")])).toEqual(["keys.json written"]);
  expect(await drifted()).toBe(false);
  expect(await readFile(at("keys.json"), "utf8")).toBe(text);
});

test("without keys there is no such file", async () => {
  expect(await changes()).toEqual(["proxy.json written", "keys.json removed"]);
  await expect(stat(at("keys.json"))).rejects.toThrow("ENOENT");
  expect(await drifted()).toBe(false);
});

test("a digest that is none is refused before anything is written", async () => {
  const answer = await host.run("converge", "proxy-files", document([{ id: "a", sha256: "secret" }]));
  expect(answer.error).toMatchObject({ code: "bad_document", message: expect.stringContaining("keys.0.sha256") });
  await expect(stat(at("keys.json"))).rejects.toThrow("ENOENT");
});

test("a proxy that runs has taken other keys when the command ends, and a refusal of it is told", async () => {
  await changes([key("a")]);
  const asked: string[] = [];
  let problem: string | null = null;
  const proxy = createServer(async (request, response) => {
    const held = await readFile(at("keys.json"), "utf8");
    asked.push(`${request.method} ${request.url} ${held.includes("d".repeat(64))}`);
    response.end(JSON.stringify({ problem }));
  }).listen(at("admin-1.sock"));
  try {
    await changes([key("a", "d")]);
    expect(asked).toContain("POST /-/reload true");
    problem = "keys.json: keys[0] (a): wrong";
    for (let time = 0; time < 2; time++) {
      const answer = await host.run("converge", "proxy-files", document([key("a")]));
      expect(answer.error).toMatchObject({ code: "unhealthy", message: expect.stringContaining(problem) });
    }
  } finally {
    await new Promise((resolve) => proxy.close(resolve));
  }
});

test("removal takes the keys too", async () => {
  await changes([key("a")]);
  await host.must("remove", "proxy-files", document());
  expect(await host.files()).not.toContain(".lmstack/proxy/keys.json");
});

test("a proxy without a container takes other keys while it runs, and starts again only for what it reads at its start", async () => {
  const root = join(host.home, ".lmstack");
  const program = await bundleProxy();
  const useRuntime = async (name: string) => {
    await mkdir(join(root, "runtime", name), { recursive: true });
    await symlink(process.execPath, join(root, "runtime", name, "node"));
    await writeFile(join(root, "runtime", name, "proxy.mjs"), program);
    await symlink(join(root, "runtime", name), join(root, "next"));
    await rename(join(root, "next"), join(root, "current"));
  };
  const pidAfter = async (keys: readonly object[], config: object = {}, port = host.port) => {
    const wanted = document(keys);
    await host.must("converge", "proxy-files", {
      ...wanted,
      runtime: "native",
      config: { ...wanted.config, listen: { host: "127.0.0.1", port }, ...config },
    });
    const health = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: "close" } });
    return ((await health.json()) as { pid: number }).pid;
  };
  await useRuntime("one");
  const first = await pidAfter([key("a")]);
  expect(await pidAfter([key("a", "b")])).toBe(first);
  const other = await pidAfter([key("a", "b")], { drainSeconds: 1 });
  expect(other).not.toBe(first);
  await useRuntime("two");
  const third = await pidAfter([key("a")], { drainSeconds: 1 });
  expect(third).not.toBe(other);
  // Another address is one more replacement, not a restart that would wait until the last answer is through.
  const server = createServer((_request, response) => response.flushHeaders()).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fourth = await pidAfter([key("a")], { upstream, drainSeconds: 60 });
  const stream = await fetch(`http://127.0.0.1:${host.port}/v1/models`);
  const port = await freePort();
  expect(await pidAfter([key("a")], { upstream, drainSeconds: 60 }, port)).not.toBe(fourth);
  await expect(fetch(`http://127.0.0.1:${host.port}/healthz`)).rejects.toThrow("fetch failed");
  await stream.body?.cancel();
  server.closeAllConnections();
  server.close();
  await host.must("remove", "proxy-files", document());
  await rm(join(root, "runtime"), { recursive: true });
});
