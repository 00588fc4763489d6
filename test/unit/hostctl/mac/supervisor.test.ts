/** LM Studio on a Mac of stand-ins: the supervisor as launchd's job, killed, seen, and taken away. */
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { observe } from "../../../../hostctl/observe.ts";
import { convergeLmstudio, removeLmstudio } from "../../../../hostctl/resources/lmstudio.ts";
import { bundleHostctl } from "../../../../infra/host/bundle.ts";
import type { LmstudioDocument } from "../../../../infra/spec/host-documents.ts";
import { type Installation, installInto } from "../../../lmstudio-sim/install.ts";
import { Mac } from "../../../mac-sim/mac.ts";
import { freePort } from "../scratch.ts";

const label = "system/dev.lmstack.supervisor";
let mac: Mac;
let installed: Installation;
let document: LmstudioDocument;

beforeEach(async () => {
  mac = await Mac.make();
  vi.stubEnv("PATH", mac.path);
  vi.stubEnv("HOME", mac.home);
  installed = await installInto(mac.home);
  document = {
    stack: "studio",
    token: "t",
    become: "sudo",
    platform: "macos-metal",
    version: "0.0.25-1",
    url: "file:///nowhere.tar.gz",
    backendPort: await freePort(),
    models: [],
  };
  for (const folder of [mac.host.paths.current, mac.host.paths.state]) await mkdir(folder, { recursive: true });
  await symlink(process.execPath, mac.host.program.node);
  for (const [name, content] of Object.entries(await bundleHostctl()))
    await writeFile(join(dirname(mac.host.program.hostctl), name), content);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await mac[Symbol.asyncDispose]();
  await installed.stop();
});

const seen = async () => {
  const { stack, become, backendPort } = document;
  const found = await observe(mac.host, { stack, become, backendPort, proxyPort: 1, models: [], lmstudio: document });
  return found.lmstudio;
};

test("launchd's daemon starts LM Studio and its server, comes back when it was killed, and leaves nothing", async () => {
  await convergeLmstudio(mac.host, document);
  const first = await seen();
  expect(first.service).toMatchObject({ active: true, enabled: true });
  expect(first.service.sha256).toBe(first.service.expectedSha256);
  expect(first.daemon).toMatchObject({ running: true, supervised: true });
  expect(first.server).toMatchObject({ greeting: true, port: document.backendPort, address: "127.0.0.1" });

  const killed = mac.launchd.pidOf(label) ?? 0;
  process.kill(killed, "SIGKILL");
  await vi.waitFor(() => expect([null, killed]).not.toContain(mac.launchd.pidOf(label)), { timeout: 10_000 });
  await convergeLmstudio(mac.host, document);
  expect((await seen()).daemon).toMatchObject({ running: true, supervised: true });

  await removeLmstudio(mac.host, "sudo");
  expect(mac.launchd.loaded).toEqual([]);
  expect(await readdir(mac.host.launchDaemons)).toEqual([]);
});
