/** The whole way of the native proxy on a Mac of stand-ins: launchd's job, replaced under load, seen, repaired, taken away. */
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { convergeProxyFiles, observeProxyFiles, removeProxyFiles } from "../../../../hostctl/resources/proxy-files.ts";
import { rootCommands } from "../../../../infra/cli/prepare/sudoers.ts";
import { bundleProxy } from "../../../../infra/host/bundle.ts";
import { launchDaemonsFolder } from "../../../../infra/spec/host-layout.ts";
import { Mac } from "../../../mac-sim/mac.ts";
import { freePort } from "../scratch.ts";

const label = "system/dev.lmstack.proxy";
let mac: Mac;
let port: number;

beforeEach(async () => {
  mac = await Mac.make();
  vi.stubEnv("PATH", mac.path);
  port = await freePort();
  await mkdir(mac.host.paths.current, { recursive: true });
  await mkdir(mac.host.paths.state, { recursive: true });
  await symlink(process.execPath, mac.host.program.node);
  await writeFile(mac.host.program.proxy, await bundleProxy());
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await mac[Symbol.asyncDispose]();
});

const converge = (queue = 64) =>
  convergeProxyFiles(mac.host, {
    stack: "studio",
    token: "t",
    become: "sudo",
    runtime: "native",
    config: {
      listen: { host: "127.0.0.1", port },
      upstream: "http://127.0.0.1:9",
      models: { "*": { thinking: "off" } },
      allowAnonymous: true,
      limits: { queue },
      drainSeconds: 5,
    } as { listen: { port: number } },
  });
const alive = async () => {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}/healthz`, { reset: true });
  await body.dump();
  return statusCode;
};
const seen = async () => (await observeProxyFiles(mac.host, "sudo")).service;

test("the proxy serves as a daemon of its user, is replaced without a refusal, repaired when it was stopped, and leaves nothing; root does only what a prepared Mac allows", async () => {
  await converge();
  expect(await alive()).toBe(200);
  const parent = mac.launchd.pidOf(label);
  const plist = await readFile(join(mac.host.launchDaemons, "dev.lmstack.proxy.plist"), "utf8");
  expect(plist).toContain("<string>g</string>");
  expect(plist).toContain("g &amp; p");

  let going = true;
  const statuses = new Set<number>();
  const knocking = (async () => {
    while (going) statuses.add(await alive());
  })();
  await converge(65);
  going = false;
  await knocking;
  expect([...statuses]).toEqual([200]);
  expect(mac.launchd.pidOf(label)).toBe(parent);
  const { active, enabled, sha256, expectedSha256 } = (await seen()) ?? {};
  expect({ active, enabled, same: sha256 === expectedSha256 }).toEqual({ active: true, enabled: true, same: true });

  mac.launchd.answer(["bootout", label]);
  await vi.waitFor(() => expect(mac.launchd.loaded).toEqual([]), { timeout: 15_000 });
  expect((await seen())?.active).toBe(false);
  await converge(65);
  expect(await alive()).toBe(200);

  await removeProxyFiles(mac.host, "sudo");
  await expect(alive()).rejects.toThrow();
  expect(mac.launchd.loaded).toEqual([]);
  expect(await readdir(mac.host.launchDaemons)).toEqual([]);

  const granted = rootCommands("Darwin").map((command) => command.replace(/^\S*\//, ""));
  const asked = mac.asRoot.map((command) => command.replaceAll(mac.host.launchDaemons, launchDaemonsFolder));
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((command) => !granted.includes(command))).toEqual([]);
});
