/** What LM Studio does to its users does nothing to a host: traps of the stand-in, sprung at once, and the good end all the same. docs/survival.md. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "vitest";
import { Scratch } from "./scratch.ts";

const engine = { name: "llama.cpp-linux-x86_64-avx2", version: "2.25.2" };
const long = { timeout: 120_000 };
const bothLoaded = { timeout: 40_000, interval: 200 };

test.concurrent(
  "a daemon that is slow, busy, verified wrongly, lacks a folder and updates its engines comes up as declared",
  long,
  async ({ expect }) => {
    await using host = await Scratch.make({
      traps: {
        traps: {
          lmsDelayMs: 60,
          daemonStartMs: 1000,
          textFileBusyMs: 1500,
          serverVerifyFails: true,
          verifyIntervalMs: 50,
          bindIgnored: true,
          tempFolderMissing: true,
          jitSettingIgnored: true,
          engineUpdatesItself: true,
          downExitMs: 1500,
          loadBytesPerSecond: 200,
        },
      },
    });
    const lmstudio = host.lmstudio({ engine });
    await host.must("converge", "lmstudio", lmstudio);
    for (const id of ["alpha", "beta"]) await host.must("converge", "model", host.model(id));
    expect(await host.instances()).toEqual(["alpha", "beta"]);
    const observed = (await host.observe()).lmstudio;
    expect(observed).toMatchObject({
      daemon: { running: true, supervised: true },
      server: { greeting: true, address: "127.0.0.1" },
      settingsDrift: [],
      engine,
    });
    expect(await host.lms("runtime", "ls")).toMatch(/avx2@2\.25\.2 +✓/);
    expect((await host.must("converge", "lmstudio", lmstudio)).changed).toEqual([]);
    await expect.poll(() => host.processes("llmster"), bothLoaded).toHaveLength(1);
  },
);

test.concurrent("a daemon that dies of requests, or hangs, is up again with its models", long, async ({ expect }) => {
  await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60 } } });
  await host.must("converge", "lmstudio", host.lmstudio());
  for (const id of ["alpha", "beta"]) await host.must("converge", "model", host.model(id));
  const pid = async () => (await host.observe()).lmstudio.daemon.pid;
  const first = await pid();
  host.setTraps({ crashAfterRequests: 1 });
  const body = JSON.stringify({ model: "alpha", input: "Hello" });
  await fetch(`http://127.0.0.1:${host.port}/v1/responses`, { method: "POST", body }).catch(() => {});
  host.setTraps({});
  await expect.poll(() => host.instances(), bothLoaded).toEqual(["alpha", "beta"]);
  expect(await pid()).not.toBe(first);

  host.setTraps({ serverHangs: true });
  const status = async () => await readFile(join(host.home, ".lmstack/run/status.json"), "utf8");
  const lmstudio = async () => (JSON.parse(await status()) as { lmstudio: { state: string } }).lmstudio.state;
  await expect.poll(lmstudio, { timeout: 40_000, interval: 200 }).not.toBe("ready");
  host.setTraps({});
  await expect.poll(() => host.instances(), bothLoaded).toEqual(["alpha", "beta"]);
  await expect.poll(lmstudio, bothLoaded).toBe("ready");
  await expect.poll(() => host.processes("llmster"), bothLoaded).toHaveLength(1);
});

test.concurrent("a daemon that does not move any more is ended, and another one serves", long, async ({ expect }) => {
  await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60 } } });
  await host.must("converge", "lmstudio", host.lmstudio());
  await host.must("converge", "model", host.model("alpha"));
  const [hung = 0] = await host.processes("llmster");
  process.kill(hung, "SIGSTOP");
  const others = async () => (await host.processes("llmster")).filter((pid) => pid !== hung);
  await expect.poll(others, { timeout: 80_000, interval: 500 }).toHaveLength(1);
  await expect.poll(() => host.instances(), bothLoaded).toEqual(["alpha"]);
  expect(await host.processes("llmster")).toEqual(await others());
  const { journal } = await host.observe();
  expect(journal).toContainEqual(expect.objectContaining({ what: `ending the daemon of pid ${hung}`, ok: true }));
});

test.concurrent(
  "a daemon that dies again and again is quarantined with its reason, and the next up tries at once",
  long,
  async ({ expect }) => {
    await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60 } } });
    await host.must("converge", "lmstudio", host.lmstudio());
    const failing = async () => {
      for (const pid of await host.processes("llmster")) process.kill(pid, "SIGKILL");
      return (await host.observe()).failing?.lmstudio ?? "";
    };
    await expect.poll(failing, { timeout: 80_000, interval: 1500 }).toMatch(/again and again.*quarantined.*`up`/);
    // A call of `lms` that met the killed one's end may have woken another: it goes too.
    await expect.poll(() => host.processes("llmster"), bothLoaded).toEqual([]);
    await host.must("converge", "lmstudio", host.lmstudio({ token: "t2" }));
    expect(await host.processes("llmster")).toHaveLength(1);
    expect((await host.observe()).failing).toEqual({});
  },
);

test.concurrent(
  "a model for which the GPU has no room is refused with the reason, and the one beside it serves on",
  long,
  async ({ expect }) => {
    const room = 2 * 4096 * 128 * 1024 + 2 ** 20;
    await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60, gpuMemoryBytes: room } } });
    await host.must("converge", "lmstudio", host.lmstudio());
    await host.must("converge", "model", host.model("alpha"));
    const refused = await host.run("converge", "model", host.model("beta"));
    expect(refused.ok).toBe(false);
    expect(refused.error?.message).toMatch(/beta.*(memory|room)/is);
    expect(await host.instances()).toEqual(["alpha"]);
  },
);
