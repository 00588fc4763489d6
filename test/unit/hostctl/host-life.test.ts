import { spawn } from "node:child_process";
import { mkdir, readFile, readlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, test } from "vitest";
import { buildInstaller } from "../../lmstudio-sim/build.ts";
import { Scratch } from "./scratch.ts";

const daemon = "llmster";
const inTime = { timeout: 40_000 };

// They mostly wait for processes, each on a host of its own.
describe.concurrent("a host", () => {
  test("goes from nothing to two loaded models and back to nothing", { timeout: 120_000 }, async ({ expect }) => {
    await using host = await Scratch.make({ lmstudio: false });
    const { tarball, sha512 } = await buildInstaller({ version: "0.0.25-1", engine: "script" });
    const lmstudio = host.lmstudio({
      url: `file://${tarball}`,
      sha512,
      engine: { name: "llama.cpp-linux-x86_64-avx2", version: "2.25.2" },
    });
    const refused = await host.run("converge", "lmstudio", { ...lmstudio, sha512: "0".repeat(128) });
    expect(refused.error).toMatchObject({ code: "checksum_mismatch", message: expect.stringContaining(sha512) });
    expect((await host.files()).some((path) => path.startsWith(".lmstudio"))).toBe(false);

    await host.must("converge", "lmstudio", lmstudio);
    const models = [host.model("alpha"), host.model("beta", { import: "copy" })];
    for (const model of models) {
      await host.must("converge", "model-file", model);
      await host.must("converge", "model", model);
    }
    expect(await host.instances()).toEqual(["alpha", "beta"]);
    expect(await readlink(join(host.home, ".lmstudio/models/local/alpha/alpha.gguf"))).toBe(
      join(host.models, "alpha.gguf"),
    );
    const observed = await host.observe(models);
    expect(observed.lmstudio).toMatchObject({
      installedVersion: "0.0.25-1",
      daemon: { running: true, supervised: true },
      server: { greeting: true, port: host.port, address: "127.0.0.1" },
      settingsDrift: [],
      adopted: false,
    });
    expect(observed.journal).toContainEqual(
      expect.objectContaining({
        what: "loading beta",
        why: "it is declared and was not loaded",
        result: "done",
        ok: true,
      }),
    );
    expect(observed.models.beta).toMatchObject({
      imported: true,
      verified: true,
      instances: [{ identifier: "beta", contextLength: 4096 }],
    });

    for (const again of [
      await host.must("converge", "lmstudio", lmstudio),
      await host.must("converge", "model", host.model("alpha")),
    ]) {
      expect(again.changed).toEqual([]);
    }
    const broken = await host.run("converge", "lmstudio", { ...lmstudio, version: "0.0.99" });
    expect(broken.error).toMatchObject({ code: "daemon_failed", message: expect.stringContaining("0.0.99") });
    await expect.poll(() => host.instances(), inTime).toEqual(["alpha", "beta"]);
    for (const model of models) await host.must("remove", "model", model);
    for (const part of ["lmstudio", "lmstudio", "runtime", "runtime"]) await host.must("remove", part, lmstudio);
    for (const model of models) await host.must("remove", "model-file", model);
    await host.must("remove", "runtime", lmstudio);
    expect(await host.files()).toEqual([]);
    expect(await host.processes(daemon)).toEqual([]);
    expect(await readFile(join(host.models, "beta.gguf"))).toBeDefined();
  });

  test("gives up a model that is no longer declared before another one loads", { timeout: 120_000 }, async ({
    expect,
  }) => {
    await using host = await Scratch.make();
    await host.must("converge", "lmstudio", host.lmstudio({ models: ["alpha"] }));
    await host.must("converge", "model", host.model("alpha"));
    await host.must("converge", "lmstudio", host.lmstudio({ models: ["beta"] }));
    await expect.poll(() => host.instances(), inTime).toEqual([]);
    await host.must("converge", "model", host.model("beta"));
    await host.must("remove", "model", host.model("alpha"));
    expect(await host.instances()).toEqual(["beta"]);
    expect((await host.files()).filter((path) => path.includes("alpha"))).toEqual([]);
  });

  test("loads a model with its defaults, anew when they change, and puts right what somebody made of them", {
    timeout: 120_000,
  }, async ({ expect }) => {
    await using host = await Scratch.make();
    const flash = async () => {
      const answer = await fetch(`http://127.0.0.1:${host.port}/api/v1/models`);
      const { models } = (await answer.json()) as {
        models: { loaded_instances: { id: string; config: { flash_attention: boolean } }[] }[];
      };
      return models.flatMap(({ loaded_instances }) => loaded_instances).map(({ config }) => config.flash_attention);
    };
    const withDefaults = (more: object) => host.model("alpha", { load: { ...host.model("alpha").load, ...more } });
    await host.must("converge", "lmstudio", host.lmstudio());
    const model = withDefaults({ flashAttention: false });
    await host.must("converge", "model", model);
    expect(await flash()).toEqual([false]);
    expect((await host.must("converge", "model", model)).changed).toEqual([]);
    const file = join(host.home, ".lmstudio/.internal/user-concrete-model-default-config/local/alpha/alpha.gguf.json");
    await writeFile(file, "{}");
    await host.lms("unload", "alpha");
    await expect.poll(flash, inTime).toEqual([false]);
    await writeFile(file, "{}");
    expect((await host.observe([model])).models.alpha?.defaultsDrift).toEqual(["llm.load.llama.flashAttention"]);
    await host.must("converge", "model", model);
    expect((await host.observe([model])).models.alpha?.defaultsDrift).toEqual([]);
    await host.must("converge", "model", withDefaults({ kvCacheType: "q8_0" }));
    expect(await flash()).toEqual([true]);
    await host.must("remove", "model", model);
    expect((await host.files()).filter((path) => path.includes("model-default-config"))).toEqual([]);
  });

  test("is repaired by its supervisor, which tells what had happened", { timeout: 120_000 }, async ({ expect }) => {
    await using host = await Scratch.make();
    await host.must("converge", "lmstudio", host.lmstudio());
    const model = host.model("alpha");
    await host.must("converge", "model", model);
    await host.lms("unload", "alpha");
    await expect.poll(() => host.instances(), inTime).toEqual(["alpha"]);
    await host.lms("server", "stop");
    await expect.poll(() => host.instances(), inTime).toEqual(["alpha"]);
    const pid = (await host.observe()).lmstudio.daemon.pid ?? 0;
    process.kill(pid, "SIGKILL");
    await expect.poll(() => host.instances(), inTime).toEqual(["alpha"]);
    const { incidents } = await host.observe([model]);
    expect(incidents.lmstudio).toMatchObject([
      expect.stringContaining("server"),
      expect.stringContaining(`pid ${pid}`),
    ]);
    expect(incidents["model-alpha"]).toMatchObject([expect.stringContaining("unloaded")]);
    await host.must("converge", "lmstudio", host.lmstudio());
    await host.must("converge", "model", model);
    expect((await host.observe()).incidents).toEqual({});
  });

  test("that a person set up is taken over as it is, and given back as it was", { timeout: 120_000 }, async ({
    expect,
  }) => {
    await using host = await Scratch.make({ traps: { models: [{ name: "theirs" }] } });
    await host.lms("daemon", "up");
    await host.lms(
      "load",
      "--exact",
      "local/theirs/theirs.gguf",
      "--identifier",
      "theirs",
      "--context-length",
      "2048",
      "--parallel",
      "1",
      "-y",
    );
    await host.lms("server", "start", "--port", String(host.port));
    const script = join(host.home, ".lmstudio/.internal/lms-no-think-proxy.py");
    await writeFile(script, "setInterval(() => {}, 1000);\n");
    const proxy = spawn(process.execPath, ["--input-type=commonjs", "-e", "setInterval(() => {}, 1000)", script], {
      env: { ...process.env, HOME: host.home },
    });
    await writeFile(join(host.home, ".lmstudio/.internal/lms-no-think-proxy.pid"), `${proxy.pid}\n`);
    const [pid] = await host.processes(daemon);

    for (let time = 0; time < 2; time++) {
      const { stderr } = await host.must("converge", "lmstudio", host.lmstudio({ version: "0.0.99" }));
      expect(stderr).toContain("0.0.99 applies to what lmstack installs");
    }
    expect((await host.observe()).lmstudio).toMatchObject({
      adopted: true,
      settingsDrift: [],
      daemon: { pid, supervised: true },
    });
    await host.must("converge", "model", host.model("alpha"));
    expect(await host.instances()).toEqual(["alpha", "theirs"]);
    const config = { listen: { host: "127.0.0.1", port: host.port + 1 }, upstream: `http://127.0.0.1:${host.port}` };
    const files = { stack: "test", token: "t", become: "none", runtime: "docker", config };
    await host.must("converge", "proxy-files", files);
    await expect.poll(() => proxy.exitCode ?? proxy.signalCode).not.toBeNull();

    await host.must("remove", "proxy-files", files);
    await host.must("remove", "model", host.model("alpha"));
    await host.must("remove", "lmstudio", host.lmstudio());
    await host.must("remove", "runtime", host.lmstudio());
    expect(await host.processes(daemon)).toEqual([pid]);
    expect(await host.instances()).toEqual(["theirs"]);
    expect((await host.files()).filter((path) => path.includes("lmstack") || path.includes("alpha"))).toEqual([]);
  });

  test("refuses in words what cannot be, and changes nothing", { timeout: 120_000 }, async ({ expect }) => {
    await using host = await Scratch.make();
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(host.port, "127.0.0.1", resolve));
    expect((await host.run("converge", "lmstudio", host.lmstudio())).error).toMatchObject({
      code: "port_in_use",
      message: expect.stringContaining(String(host.port)),
    });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));

    host.setTraps({ ownedByGui: true });
    await host.lms("daemon", "up");
    const gui = await host.run("converge", "lmstudio", host.lmstudio());
    expect(gui).toMatchObject({ code: 1, error: { code: "gui_owns_daemon" } });
    expect(gui.stderr).toContain("error: ");
    host.setTraps({});
    for (const pid of await host.processes(daemon)) process.kill(pid, "SIGKILL");

    const engine = { name: "llama.cpp-linux-x86_64-unheard", version: "9.9.9" };
    expect((await host.run("converge", "lmstudio", host.lmstudio({ engine }))).error).toMatchObject({
      code: "engine_incompatible",
      message: expect.stringContaining("9.9.9"),
    });
    await host.must("converge", "lmstudio", host.lmstudio());

    host.setTraps({ loadFails: "out of memory" });
    const failed = await host.run("converge", "model", host.model("alpha"));
    expect(failed.error).toMatchObject({ code: "load_failed", message: expect.stringContaining("out of memory") });
    expect(await host.files()).not.toContain(".lmstack/desired/model-alpha.json");
    expect(await host.files()).not.toContain(".lmstudio/models/local/alpha");
    host.setTraps({});
    await host.must("converge", "model", host.model("alpha"));
    host.setTraps({ loadFails: "out of memory" });
    const elsewhere = host.model("alpha", { repo: "elsewhere" });
    expect((await host.run("converge", "model", elsewhere)).error).toMatchObject({ code: "load_failed" });
    host.setTraps({});
    await expect.poll(() => host.instances(), inTime).toEqual(["alpha"]);
    expect((await host.files()).filter((path) => /models\/local\/.*gguf$/.test(path))).toEqual([
      ".lmstudio/models/local/alpha/alpha.gguf",
    ]);

    await mkdir(join(host.home, ".lmstudio/models/local/beta"), { recursive: true });
    await writeFile(join(host.home, ".lmstudio/models/local/beta/beta.gguf"), "GGUF of somebody else");
    expect((await host.run("converge", "model", host.model("beta"))).error).toMatchObject({ code: "import_failed" });
    const wrong = host.model("beta", { sha256: "0".repeat(64) });
    expect((await host.run("converge", "model-file", wrong)).error).toMatchObject({
      code: "checksum_mismatch",
      message: expect.stringMatching(/[1-9a-f][0-9a-f]{60}.*0{64}/),
    });
    await writeFile(join(host.models, "beta.gguf"), "not one");
    expect((await host.run("converge", "model-file", host.model("beta"))).error).toMatchObject({
      code: "file_missing",
      message: expect.stringContaining("not a GGUF"),
    });
    expect((await host.run("converge", "model", { ...host.model("beta"), id: "", load: {} })).error).toMatchObject({
      code: "bad_document",
      message: expect.stringMatching(/id: .*load\.gpu: .*load\.contextLength: /),
    });
  });
});

test.concurrent("whatever is killed whenever, the next convergence is right: one daemon, each model once, no half-written file", {
  timeout: 180_000,
}, async ({ expect }) => {
  await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60, loadMs: 150 } } });
  const steps = [
    ["lmstudio", host.lmstudio()],
    ["model", host.model("alpha")],
    ["model", host.model("beta", { import: "copy" })],
  ] as const;
  const random = seeded(20261123);
  for (let moment = 0; moment < 4; moment++) {
    for (const [part, document] of steps) {
      const running = host.start("converge", part, document);
      const victim = random() < 0.5 ? "hostctl" : "supervisor";
      await new Promise((resolve) => setTimeout(resolve, random() * 900));
      if (victim === "hostctl") running.child.kill("SIGKILL");
      else for (const pid of await host.processes("supervise")) process.kill(pid, "SIGKILL");
      if (victim === "hostctl") await running.answer;
      else if (!(await running.answer).ok) break;
    }
    for (const [part, document] of steps) await host.must("converge", part, document);
    expect(await host.instances()).toEqual(["alpha", "beta"]);
    expect(
      (await host.processes(".bundle/llmster.mjs")).length + (await host.processes("llmster")).length,
    ).toBeLessThanOrEqual(2);
    expect((await host.observe()).lmstudio.daemon).toMatchObject({ running: true, supervised: true });
    expect((await host.files()).filter((path) => /\.(tmp|part|staging)/.test(path))).toEqual([]);
    if (moment % 2 === 1) {
      for (const [part, document] of [...steps].reverse()) await host.must("remove", part, document);
    }
  }
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
