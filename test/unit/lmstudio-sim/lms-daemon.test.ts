import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort, run, type ScratchHome, scratchHome } from "./scratch-home.ts";

const config = async (box: ScratchHome): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(box.sim.home, ".internal", "http-server-config.json"), "utf8")) as never;

const settle = async (isSo: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 200 && !(await isSo()); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await isSo()).toBe(true);
};

describe.concurrent("daemon (lms daemon)", () => {
  test("up is idempotent and tells pid and version; status is always 0; down is not idempotent", async () => {
    await using box = await scratchHome();
    expect(await box.lms("daemon", "status")).toEqual({ code: 0, out: "", err: "LM Studio is not running\n" });
    expect(await box.lms("daemon", "down")).toMatchObject({ code: 1, err: "Error: Daemon is not running.\n" });
    const up = await box.json<{ pid: number }>("daemon", "up");
    expect(up).toEqual({ status: "running", pid: up.pid, isDaemon: true, version: "0.0.25+1" });
    expect(await box.json("daemon", "up")).toEqual(up);
    expect((await box.lms("daemon", "up")).err).toBe(`The daemon is already running (PID: ${up.pid}).\n`);
    expect((await box.lms("daemon", "status")).err).toBe(`llmster v0.0.25+1 is running (PID: ${up.pid})\n`);
    expect(await box.lms("daemon", "down")).toEqual({ code: 0, out: "", err: "Shutting down llmster...\nDone.\n" });
    await settle(async () => (await box.json<{ status: string }>("daemon", "status")).status === "not-running");
  });

  test("down returns while the process still lives", async () => {
    await using box = await scratchHome({ traps: { downExitMs: 60_000 } });
    const { pid } = await box.json<{ pid: number }>("daemon", "up");
    expect((await box.lms("daemon", "down")).code).toBe(0);
    expect(await box.json("daemon", "status")).toMatchObject({ status: "running", pid });
  });

  test("the daemon leaves its starter's session and family", async () => {
    await using box = await scratchHome();
    const { pid } = await box.json<{ pid: number }>("daemon", "up");
    const [parent, , session] = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ").slice(1) ?? [];
    expect([parent === String(process.pid), session]).toEqual([false, String(pid)]);
  });

  test("two commands that wake the daemon at once end with one", async () => {
    await using box = await scratchHome({ traps: { daemonStartMs: 200 } });
    await Promise.all([box.lms("ls", "--json"), box.lms("ps", "--json"), box.lms("daemon", "up")]);
    expect(box.sim.journal().filter((entry) => entry.event === "daemon" && entry.what === "start")).toHaveLength(1);
  });

  test("a killed daemon leaves its files behind, and the next one starts all the same", async () => {
    await using box = await scratchHome();
    const { pid } = await box.json<{ pid: number }>("daemon", "up");
    process.kill(pid, "SIGKILL");
    expect(existsSync(join(box.sim.home, ".internal", "http-server.json"))).toBe(true);
    expect(await box.json("daemon", "status")).toEqual({ status: "not-running" });
    expect(await box.json<{ pid: number }>("daemon", "up")).not.toMatchObject({ pid });
  });

  test("a daemon that belongs to the GUI refuses to go down", async () => {
    await using box = await scratchHome({ traps: { ownedByGui: true } });
    expect(await box.json("daemon", "up")).toMatchObject({ isDaemon: false });
    expect((await box.lms("daemon", "up")).err).toMatch(
      /^LM Studio is already running \(PID: \d+\); not starting a second daemon\.\n$/,
    );
    expect(await box.lms("daemon", "down")).toMatchObject({
      code: 1,
      err: expect.stringContaining("running as part of LM Studio"),
    });
  });

  test("bootstrap refuses while the daemon runs (bug tracker 1612), and update cannot reach anybody", async () => {
    await using box = await scratchHome();
    const llmster = join(box.sim.home, "llmster", "0.0.25-1", "llmster");
    expect(await run(llmster, ["--version"], box.home)).toMatchObject({ code: 0, out: "0.0.25+1\n" });
    const { pid } = await box.json<{ pid: number }>("daemon", "up");
    expect(await run(llmster, ["bootstrap"], box.home)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`appears to be running (pid:${pid})`),
    });
    expect((await box.lms("daemon", "update")).code).toBe(1);
  });

  test("an lms call takes as long as the real one when told to", async () => {
    await using box = await scratchHome({ traps: { lmsDelayMs: 350 } });
    const began = performance.now();
    await box.lms("version");
    expect(performance.now() - began).toBeGreaterThan(340);
  });
});

describe.concurrent("server (lms server.ts)", () => {
  test("the port sticks, address and CORS do not, stop is not idempotent, status is always 0", async () => {
    await using box = await scratchHome();
    const port = await freePort();
    expect(await box.lms("server", "status", "--json")).toEqual({ code: 0, out: '{"running":false}\n', err: "" });
    expect(await box.lms("server", "stop")).toEqual({ code: 1, out: "", err: "Error: The server is not running.\n" });
    // Neither of the two woke the daemon.
    expect(await box.json("daemon", "status")).toEqual({ status: "not-running" });
    const started = await box.lms("server", "start", "--port", String(port), "--bind", "0.0.0.0", "--cors");
    expect(started).toEqual({
      code: 0,
      out: "",
      err: `Waking up LM Studio service...\nSuccess! Server is now running on port ${port}\n`,
    });
    expect((await fetch(`http://127.0.0.1:${port}/v1/models`)).headers.get("access-control-allow-origin")).toBe("*");
    expect(await box.json("server", "status")).toEqual({ running: true, port });
    await box.lms("server", "start");
    expect((await fetch(`http://127.0.0.1:${port}/v1/models`)).headers.get("access-control-allow-origin")).toBe(null);
    expect(await config(box)).toMatchObject({
      port,
      logSensitiveData: true,
      justInTimeModelLoading: true,
      networkInterface: "127.0.0.1",
    });
    expect(await box.lms("server", "stop")).toEqual({ code: 0, out: "", err: `Stopped the server on port ${port}.\n` });
    expect((await box.lms("server", "stop")).code).toBe(1);
    expect(await box.json("server", "status")).toEqual({ running: false, port });
  });

  test("a port that somebody else has shows as a failed check", async () => {
    await using box = await scratchHome({ traps: { verifyIntervalMs: 10 } });
    const other = createServer((_, response) => response.end("no"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    expect(await box.lms("server", "start", "--port", String(port))).toMatchObject({
      code: 1,
      err: expect.stringContaining("Failed to verify the server is running. Please try to use another port."),
    });
    await new Promise((resolve) => other.close(resolve));
  });

  test("the check may fail although the server runs (bug tracker 1720)", async () => {
    await using box = await scratchHome({ traps: { serverVerifyFails: true } });
    const port = await freePort();
    expect((await box.lms("server", "start", "--port", String(port))).code).toBe(1);
    expect(await box.json("server", "status")).toEqual({ running: true, port });
  });

  test("with autoStartOnLaunch the daemon brings its server up itself", async () => {
    await using box = await scratchHome();
    const port = await freePort();
    await writeFile(
      join(box.sim.home, ".internal", "http-server-config.json"),
      JSON.stringify({ autoStartOnLaunch: true, port, mine: 1 }),
    );
    await box.lms("daemon", "up");
    await settle(async () => (await box.json<{ running: boolean }>("server", "status")).running);
  });

  test("prompts are in the log files unless the setting says otherwise, and log stream shows them until SIGTERM", async () => {
    await using box = await scratchHome({ models: [{ name: "m", tokenMs: 0 }] });
    const port = await freePort();
    await box.lms("server", "start", "--port", String(port));
    const ask = (input: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/v1/responses`, { method: "POST", body: JSON.stringify({ model: "m", input }) });
    const follower = spawn(box.sim.lms, ["log", "stream", "--json"], {
      env: { HOME: box.home, PATH: "/usr/bin:/bin" },
    });
    let followed = "";
    follower.stdout.on("data", (chunk: Buffer) => {
      followed += chunk.toString();
    });
    await settle(async () => {
      await (await ask("streamed-prompt")).text();
      return followed.includes("streamed-prompt");
    });
    follower.kill("SIGTERM");
    expect(await once(follower, "close")).toEqual([0, null]);
    expect(JSON.parse(followed.split("\n")[0] ?? "")).toMatchObject({
      timestamp: expect.any(Number),
      data: { type: expect.any(String) },
    });
    await (await ask("planted-prompt")).text();
    const day = new Date().toISOString().slice(0, 10);
    const log = join(box.sim.home, "server-logs", day.slice(0, 7), `${day}.1.log`);
    expect(await readFile(log, "utf8")).toContain("planted-prompt");
    await writeFile(
      join(box.sim.home, ".internal", "http-server-config.json"),
      JSON.stringify({ port, logSensitiveData: false }),
    );
    await (await ask("hidden-prompt")).text();
    expect(await readFile(log, "utf8")).not.toContain("hidden-prompt");
  });
});

describe("runtime (lms runtime)", () => {
  test("the CPU engine is selected on a fresh install, select is exact, and updates want --yes", async () => {
    await using box = await scratchHome();
    expect((await box.lms("runtime", "ls")).out).toMatch(/avx2@2\.25\.2 +✓ +GGUF/);
    expect((await box.lms("runtime", "select", "llama.cpp-linux-x86_64-nvidia-cuda12")).err).toContain(
      "Selected llama.cpp-linux-x86_64-nvidia-cuda12@2.25.2 for gguf",
    );
    expect((await box.lms("runtime", "select", "llama.cpp-linux-x86_64-nvidia-cuda12@2.25.2")).err).toContain(
      "Already selected",
    );
    expect((await box.lms("runtime", "select", "nothing")).code).toBe(1);
    expect((await box.lms("runtime", "select", "nvidia")).code).toBe(1);
    expect((await box.lms("runtime", "get", "nothing")).code).toBe(0);
    expect(await box.lms("runtime", "update")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Re-run with --yes."),
    });
    const { engines } = await box.json<{ engines: { name: string; compatibility: { status: string } }[] }>(
      "runtime",
      "survey",
    );
    expect(engines.map((engine) => engine.compatibility.status)).toContain("missingLibraries");
  });
});

test("versions are the command line's own, not the daemon's (lms version.ts)", async () => {
  await using box = await scratchHome();
  expect(await box.lms("--version")).toMatchObject({ code: 0, out: expect.stringMatching(/^CLI commit: \w+\n$/) });
  expect(await box.json("version")).toEqual({ version: expect.stringMatching(/^\w{7}$/) });
  expect((await box.lms("bootstrap", "-y")).code).toBe(1);
  await writeFile(join(box.home, ".bashrc"), "");
  expect((await box.lms("bootstrap", "-y")).code).toBe(0);
  expect(await readFile(join(box.home, ".bashrc"), "utf8")).toContain(".lmstudio/bin");
});
