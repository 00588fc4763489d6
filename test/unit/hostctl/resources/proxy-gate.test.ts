import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { rememberImage } from "../../../../hostctl/docker.ts";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import { convergeProxyGate, removeProxyGate } from "../../../../hostctl/resources/proxy-gate.ts";
import { removeRuntime } from "../../../../hostctl/resources/runtime.ts";

let host: Host;
let world: string;
let servers: Server[];
const id = (letter: string) => letter.repeat(64);

/** A docker command over a JSON file: containers by id, with the health that each start brings. */
const program = `#!${process.execPath}
const fs = require("node:fs");
const file = process.env.DOCKER_WORLD;
const world = JSON.parse(fs.readFileSync(file, "utf8"));
const [verb, ...rest] = process.argv.slice(2);
const target = rest.at(-1);
const save = () => fs.writeFileSync(file, JSON.stringify(world));
const inspected = (key) => ({ Id: key, Config: { Labels: {}, Healthcheck: { Test: ["CMD", "check-yourself"] } }, HostConfig: { RestartPolicy: { Name: world[key].restart ? "no" : "unless-stopped" } }, State: { Running: world[key].running, ExitCode: world[key].code ?? 0, Health: { Status: world[key].health } } });
if (verb === "ps") console.log(Object.keys(world).join("\\n"));
else if (verb === "inspect") {
  const keys = rest.filter((word) => /^[0-9a-f]{64}$/.test(word));
  const known = keys.filter((key) => world[key]);
  console.log(JSON.stringify(known.map(inspected)));
  if (known.length < keys.length) { console.error("Error: No such container"); process.exit(1); }
} else if (verb === "start") { world[target].running = !world[target].code; world[target].health = world[target].becomes; save(); }
else if (verb === "stop") { world[target].running = false; save(); }
else if (verb === "exec") {
  const { passes, socket } = world[rest[0]];
  if (socket) console.log("/run/lmstack/" + socket);
  process.exit(rest[1] === "check-yourself" && (passes || socket) ? 0 : 1);
}
else if (verb === "update") { world[target].restart = rest[0]; save(); }
else if (verb === "kill") { world[target].told = rest[0]; save(); }
else if (verb === "rm") { delete world[target]; save(); }
else if (verb === "images" || verb === "rmi") {
  fs.appendFileSync(file + ".images", process.argv.slice(2).join(" ") + "\\n");
  if (verb === "images") console.log(process.env.DOCKER_IMAGES ?? "");
} else if (verb === "logs") { console.log("first line"); console.error("cannot listen"); }
`;

beforeEach(async () => {
  servers = [];
  host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-gate-")), () => {});
  world = join(host.home, "world.json");
  await mkdir(join(host.home, "bin"));
  await writeFile(join(host.home, "bin/docker"), program);
  await chmod(join(host.home, "bin/docker"), 0o755);
  vi.stubEnv("PATH", `${join(host.home, "bin")}${delimiter}${process.env.PATH}`);
  vi.stubEnv("DOCKER_WORLD", world);
});
afterEach(async () => {
  for (const server of servers) server.close();
  vi.unstubAllEnvs();
  await rm(host.home, { recursive: true });
});

const put = (containers: object) => writeFile(world, JSON.stringify(containers));
const left = async () => Object.keys(JSON.parse(await readFile(world, "utf8")));
const gate = (containerId: string) =>
  convergeProxyGate(host, { stack: "s", token: "t", become: "none", containerId, healthySeconds: 1 });
const serving = { running: true, health: "healthy" };

test("a container that was only made is started, and counts when it is healthy", async () => {
  await put({ [id("a")]: { running: false, health: "starting", becomes: "healthy" } });
  expect(await gate(id("a"))).toEqual([{ what: "container aaaaaaaaaaaa", from: "stopped", to: "started" }]);
  expect(await gate(id("a"))).toEqual([]);
});

test("a container that passes its own check need not wait for Docker to run it", async () => {
  await put({ [id("a")]: { running: true, health: "starting", passes: true } });
  expect(await gate(id("a"))).toEqual([]);
});

test("left-over containers go once the new one is healthy, but the one before stays for Pulumi to remove", async () => {
  await put({ [id("a")]: serving });
  await gate(id("a"));
  await put({ [id("a")]: serving, [id("b")]: serving, [id("c")]: { running: false, health: "unhealthy" } });
  await gate(id("b"));
  expect(await left()).toEqual([id("a"), id("b")]);
  await put({ [id("b")]: serving, [id("d")]: serving });
  await removeProxyGate(host, "s");
  expect(await left()).toEqual([id("b")]);
});

test("a left-over container that runs is asked to end, and is not cut off or started again", async () => {
  await put({ [id("a")]: serving, [id("c")]: serving });
  expect(await gate(id("a"))).toEqual([{ what: "left-over container cccccccccccc", from: "there", to: "ending" }]);
  const after = JSON.parse(await readFile(world, "utf8"));
  expect(after[id("c")]).toEqual({ ...serving, restart: "--restart=no", told: "--signal=TERM" });
  // A second signal would cut off what it still answers.
  await put({ [id("a")]: serving, [id("c")]: { ...serving, restart: "--restart=no" } });
  await gate(id("a"));
  expect(JSON.parse(await readFile(world, "utf8"))[id("c")].told).toBeUndefined();
});

/** Stand-ins for the admin sockets of running proxies, the oldest first; the answer is what they were told. */
async function proxies(...all: { name: string; listening: boolean; drain?: () => void }[]): Promise<string[]> {
  const told: string[] = [];
  await mkdir(host.paths.proxy, { recursive: true });
  for (const [age, proxy] of all.entries()) {
    const server = createServer((request, response) => {
      if (request.url === "/healthz") return response.end(JSON.stringify({ status: "ok", listening: proxy.listening }));
      told.push(`${proxy.name} ${request.method} ${request.url}`);
      proxy.listening = false;
      proxy.drain?.();
      return response.end("{}");
    });
    servers.push(server);
    const socket = join(host.paths.proxy, `admin-${age}a.sock`);
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    await utimes(socket, age, age);
  }
  return told;
}

test("a proxy that still accepts connections beside the new one is told to drain, one that gave them up is not", async () => {
  const told = await proxies(
    { name: "old", listening: true },
    { name: "deaf", listening: false },
    { name: "new", listening: true },
  );
  await put({ [id("a")]: serving });
  await gate(id("a"));
  expect(told).toEqual(["old POST /-/drain"]);
});

test("a left-over proxy that took the port from the declared one gives it back, though it started later", async () => {
  const declared = { name: "declared", listening: false };
  const giveBack = () => {
    declared.listening = true;
  };
  const told = await proxies(declared, { name: "left over", listening: true, drain: giveBack });
  await put({ [id("a")]: { ...serving, socket: "admin-0a.sock" } });
  await gate(id("a"));
  expect(told).toEqual(["left over POST /-/drain"]);
});

test("a proxy that drains is not started again by Docker", async () => {
  await put({ [id("a")]: serving });
  await gate(id("a"));
  await proxies({ name: "old", listening: true }, { name: "new", listening: true });
  await put({ [id("a")]: serving, [id("b")]: { ...serving, socket: "admin-1a.sock" } });
  await gate(id("b"));
  const after = JSON.parse(await readFile(world, "utf8"));
  expect([after[id("a")].restart, after[id("b")].restart]).toEqual(["--restart=no", undefined]);
});

test("images of older content go once the new container is healthy, unless docker knows a container of them", async () => {
  vi.stubEnv("DOCKER_IMAGES", "sha256:old\nsha256:older");
  await put({ [id("a")]: serving });
  await gate(id("a"));
  await rememberImage(host, "sha256:new");
  await gate(id("a"));
  expect((await readFile(`${world}.images`, "utf8")).trim().split("\n")).toEqual([
    "images -q --no-trunc --filter reference=lmstack-proxy --filter before=sha256:new",
    "rmi sha256:old",
    "rmi sha256:older",
  ]);
});

test("the last removal takes every container of the stack along, also one that passed and that nobody recorded", async () => {
  await put({ [id("a")]: serving });
  await gate(id("a"));
  await put({ [id("a")]: serving, [id("b")]: serving });
  await removeRuntime(host, "none", "s");
  expect(await left()).toEqual([]);
  expect(existsSync(host.paths.root)).toBe(false);
});

test.each([
  ["that never becomes healthy", { running: true, health: "unhealthy" }, /is unhealthy after 1 s/],
  ["that ends", { running: false, health: "starting", becomes: "starting", code: 3 }, /ended with code 3/],
])("a container %s is stopped with its last lines in the message, and the old one serves on", async (_, bad, words) => {
  await put({ [id("a")]: serving });
  await gate(id("a"));
  await put({ [id("a")]: serving, [id("b")]: bad });
  const failing = gate(id("b"));
  await expect(failing).rejects.toMatchObject({ code: "unhealthy", message: expect.stringMatching(words) });
  await expect(failing).rejects.toMatchObject({ message: expect.stringContaining("cannot listen") });
  const after = JSON.parse(await readFile(world, "utf8"));
  expect(after[id("a")]).toEqual(serving);
  expect(after[id("b")].running).toBe(false);
});

test("a container that is gone is named", async () => {
  await put({});
  await expect(gate(id("e"))).rejects.toMatchObject({
    code: "unhealthy",
    message: expect.stringContaining("eeeeeeeeeeee does not exist"),
  });
});
