import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isDisabled, parsePrint } from "../../../../hostctl/service/launchctl.ts";
import { LaunchdService } from "../../../../hostctl/service/launchd.ts";
import { refuseSystemUnit } from "../../../../hostctl/service/service.ts";
import type { Become } from "../../../../infra/spec/host-documents.ts";
import { Mac } from "../../../mac-sim/mac.ts";

let mac: Mac;

const arrive = async (options: Parameters<typeof Mac.make>[0] = {}) => {
  mac = await Mac.make(options);
  vi.stubEnv("PATH", mac.path);
};

afterEach(async () => {
  vi.unstubAllEnvs();
  await mac?.[Symbol.asyncDispose]();
});

/** Says where it runs, and takes its time to end. */
const program = (endMs: number) =>
  `console.log(JSON.stringify({ home: process.env.HOME, at: process.cwd(), words: process.argv.slice(1) }));
process.on("SIGTERM", () => setTimeout(() => process.exit(0), ${endMs})); setInterval(() => {}, 1000);`;

const service = (become: Become, endMs = 0, word = "one & two") =>
  new LaunchdService(mac.host, become, {
    name: "lmstack-proxy",
    description: "test",
    command: [process.execPath, "-e", program(endMs), word],
    notify: false,
    mounts: [],
    stopSeconds: 5,
    reloads: true,
    rootFirst: [],
  });
const target = "system/dev.lmstack.proxy";
const said = async () => await readFile(join(mac.host.paths.logs, "lmstack-proxy.log"), "utf8").catch(() => "");
const lines = (count: number) =>
  vi.waitFor(async () => expect((await said()).split("\n")).toHaveLength(count + 1), { timeout: 5000 });

describe("a daemon of launchd", () => {
  beforeEach(() => arrive());

  test("is installed once, runs with its own home and words, and leaves nothing behind", async () => {
    const one = service("sudo");
    expect(await one.state()).toEqual({ active: false, enabled: false, text: null });
    expect(await one.install()).toBe(true);
    await one.start();
    await lines(1);
    expect(JSON.parse(await said())).toEqual({ home: mac.home, at: mac.home, words: ["one & two"] });
    expect(await one.state()).toEqual({ active: true, enabled: true, text: one.wantedText });
    expect(await one.pid()).toBe(mac.launchd.pidOf(target));
    mac.launchd.calls.length = 0;
    expect(await one.install()).toBe(false);
    await one.start();
    expect(mac.launchd.calls.filter((call) => !call.startsWith("print"))).toEqual([]);
    await one.remove();
    expect(mac.launchd.loaded).toEqual([]);
    expect((await one.state()).text).toBeNull();
    await one.remove();
  });

  test("that takes its time to end is waited for: a restart neither loses it nor finds it loaded still", async () => {
    const one = service("sudo", 800);
    await one.install();
    await one.start();
    await lines(1);
    const before = await one.pid();
    await one.restart();
    await lines(2);
    expect(await one.pid()).not.toBe(before);
    await one.stop();
    expect(mac.launchd.loaded).toEqual([]);
  });

  test("runs on with the text that it was started with, until it is restarted", async () => {
    await service("sudo").install();
    await service("sudo").start();
    await lines(1);
    const other = service("sudo", 0, "three");
    expect(await other.install()).toBe(true);
    await other.start();
    expect(await said()).not.toContain("three");
    await other.restart();
    await vi.waitFor(async () => expect(await said()).toContain("three"), { timeout: 5000 });
  });

  test("that was killed is about to be started again, which is no drift", async () => {
    const one = service("sudo");
    await one.install();
    await one.start();
    await lines(1);
    process.kill((await one.pid()) ?? 0, "SIGKILL");
    await vi.waitFor(async () => expect(await one.pid()).toBeNull());
    expect((await one.state()).active).toBe(true);
    await lines(2);
  });

  test("that a person switched off is seen, and switched on again", async () => {
    const one = service("sudo");
    await one.install();
    mac.launchd.answer(["disable", target]);
    expect((await one.state()).enabled).toBe(false);
    await one.install();
    await one.start();
    expect(await one.state()).toMatchObject({ active: true, enabled: true });
  });

  test("which somebody else loads at the same moment is none the worse", async () => {
    const one = service("sudo");
    await one.install();
    const { calls } = mac.launchd;
    await Promise.all([one.start(), service("sudo").start()]);
    expect(calls.filter((call) => call.startsWith("bootstrap")).length).toBeGreaterThan(0);
    expect(await one.state()).toMatchObject({ active: true });
  });
});

test("a daemon may not be written without sudo, which is said in words", async () => {
  await arrive({ sudo: false });
  await expect(service("sudo").install()).rejects.toMatchObject({
    code: "privilege_missing",
    hint: expect.stringContaining("host prepare"),
  });
});

describe("an agent of launchd", () => {
  test("needs somebody at the screen: without, the refusal names both ways out", async () => {
    await arrive();
    await service("none").install();
    await expect(service("none").start()).rejects.toMatchObject({
      code: "service_failed",
      message: expect.stringMatching(/nobody is logged in as g/),
      hint: expect.stringMatching(/become: sudo.*log g in at boot/),
    });
  });

  test("lies in the user's own folder, needs no root, and gives way to the daemon of become: sudo", async () => {
    await arrive({ loggedIn: true });
    const agent = service("none");
    await agent.install();
    await agent.start();
    await lines(1);
    const file = join(mac.home, "Library", "LaunchAgents", "dev.lmstack.proxy.plist");
    expect(existsSync(file)).toBe(true);
    expect(mac.asRoot).toEqual([]);
    const daemon = service("sudo");
    await daemon.install();
    await daemon.start();
    expect(existsSync(file)).toBe(false);
    expect(mac.launchd.loaded).toEqual([target]);
  });

  test("is refused beside a daemon that root wrote earlier, and not beside somebody else's", async () => {
    await arrive({ loggedIn: true });
    await refuseSystemUnit(mac.host, "none", "lmstack-proxy");
    const file = join(mac.host.launchDaemons, "dev.lmstack.proxy.plist");
    await mkdir(mac.host.launchDaemons, { recursive: true });
    await writeFile(file, service("sudo").wantedText.replace("<string>g</string>", "<string>h</string>"));
    await refuseSystemUnit(mac.host, "none", "lmstack-proxy");
    await writeFile(file, service("sudo").wantedText);
    await expect(refuseSystemUnit(mac.host, "none", "lmstack-proxy")).rejects.toMatchObject({
      message: expect.stringContaining(file),
      hint: expect.stringContaining("launchctl bootout system/dev.lmstack.proxy"),
    });
  });
});

test("of what launchctl prints, only the job's own state and pid count", () => {
  const inner = "\tendpoints = {\n\t\tstate = running\n\t\tpid = 1\n\t}\n";
  expect(parsePrint(`system/x = {\n${inner}\tstate = not running\n}\n`)).toEqual({ active: false, pid: null });
  expect(parsePrint(`system/x = {\n${inner}\tstate = running\n\tpid = 42\n}\n`)).toEqual({ active: true, pid: 42 });
  expect(parsePrint(`system/x = {\n${inner}\tstate = spawn scheduled\n}\n`).active).toBe(true);
  expect(parsePrint("")).toEqual({ active: false, pid: null });
  expect(isDisabled('\t"dev.lmstack.proxy" => disabled\n', "dev.lmstack.proxy")).toBe(true);
  expect(isDisabled('\t"dev.lmstack.proxy" => true\n', "dev.lmstack.proxy")).toBe(true);
  expect(isDisabled('\t"dev.lmstack.proxy" => enabled\n', "dev.lmstack.proxy")).toBe(false);
  expect(isDisabled('\t"dev.lmstack.proxy2" => disabled\n', "dev.lmstack.proxy")).toBe(false);
});
