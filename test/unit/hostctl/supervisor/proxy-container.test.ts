import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Container } from "../../../../hostctl/docker.ts";
import { hostAt } from "../../../../hostctl/host.ts";
import { endedContainer, keepProxyContainer } from "../../../../hostctl/supervisor/proxy-container.ts";
import { freePort } from "../scratch.ts";

const ended: Container = {
  id: "c1",
  token: "t",
  running: false,
  health: "none",
  exitCode: 137,
  restarting: false,
  leaving: false,
  check: null,
};

describe("of the proxy's containers, the one that is started again", () => {
  test("is the only one that stays, where it has ended", () => {
    expect(endedContainer([ended])?.id).toBe("c1");
    expect(endedContainer([ended, { ...ended, id: "c2", leaving: true }])?.id).toBe("c1");
  });

  test("is none that runs, that Docker is about to start, that was asked to go, or that might be another's predecessor", () => {
    for (const found of [
      [],
      [{ ...ended, running: true }],
      [{ ...ended, restarting: true }],
      [{ ...ended, leaving: true }],
    ])
      expect(endedContainer(found)).toBeNull();
    expect(endedContainer([ended, { ...ended, id: "c2" }])).toBeNull();
    expect(endedContainer([ended, { ...ended, id: "c2", running: true }])).toBeNull();
  });
});

describe("a proxy", () => {
  let home: string;
  let path: string | undefined;
  const calls = async () => await readFile(join(home, "calls"), "utf8").catch(() => "");

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "lmstack-proxy-container-"));
    path = process.env.PATH;
    process.env.PATH = `${home}:${path}`;
    const inspected = JSON.stringify([
      { Id: "c1", Config: { Labels: {} }, HostConfig: {}, State: { Running: false, ExitCode: 128 } },
    ]);
    await writeFile(
      join(home, "docker"),
      `#!/bin/sh
echo "$1" >> ${home}/calls
case "$1" in
  ps) echo c1 ;;
  inspect) echo '${inspected}' ;;
  start) echo 'nvml error: driver/library version mismatch' >&2; exit 1 ;;
esac
`,
    );
    await chmod(join(home, "docker"), 0o755);
  });

  afterEach(async () => {
    process.env.PATH = path;
    await rm(home, { recursive: true, force: true });
  });

  async function watched(port: number, until: () => Promise<boolean>): Promise<string[]> {
    const said: string[] = [];
    const host = hostAt(home, () => {});
    await mkdir(host.paths.proxy, { recursive: true });
    await writeFile(join(host.paths.proxy, "proxy.json"), JSON.stringify({ listen: { host: "0.0.0.0", port } }));
    const stop = new AbortController();
    const watch = keepProxyContainer(host, (line) => said.push(line), stop.signal, 10);
    await vi.waitUntil(until, { timeout: 10_000 });
    stop.abort();
    await watch;
    return said;
  }

  test("that nobody hears any more is started again and again, and why it does not start is said", async () => {
    const said = await watched(await freePort(), async () => (await calls()).split("start").length > 2);
    expect(said).toContain("the proxy's container does not start: nvml error: driver/library version mismatch");
  });

  test("that listens costs no call of docker", async () => {
    let heard = 0;
    const server = createServer((socket) => {
      heard += 1;
      socket.destroy();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await watched(port, async () => heard > 3);
    server.close();
    expect(await calls()).toBe("");
  });
});
