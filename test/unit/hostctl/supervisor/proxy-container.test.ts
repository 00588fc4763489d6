import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Container } from "../../../../hostctl/docker.ts";
import { hostAt } from "../../../../hostctl/host.ts";
import { readJournal } from "../../../../hostctl/journal.ts";
import { endedContainer, keepProxyContainer } from "../../../../hostctl/supervisor/proxy-container.ts";
import { standInWords } from "../../../../hostctl/supervisor/stand-in.ts";
import { dockerLabels } from "../../../../infra/spec/host-layout.ts";
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

/** What `docker inspect` tells of the declared one, as far as it matters. */
const inspection = {
  Id: "c1".repeat(32),
  Image: "sha256:0a0a",
  Config: {
    User: "1000:1000",
    Env: ["NODE_ENV=production", "NVIDIA_DRIVER_CAPABILITIES=utility"],
    Labels: { [dockerLabels.stack]: "s", [dockerLabels.token]: "declared.1" },
  },
  HostConfig: {
    NetworkMode: "host",
    ReadonlyRootfs: true,
    SecurityOpt: ["no-new-privileges"],
    CapDrop: ["ALL"],
    Mounts: [{ Type: "bind", Source: "/home/a,b/proxy", Target: "/run/lmstack" }],
    Tmpfs: { "/tmp": "rw,size=16m" },
    LogConfig: { Type: "json-file", Config: { "max-size": "10m" } },
    RestartPolicy: { Name: "unless-stopped" },
  },
};

describe("of the proxy's containers, the one that is started again", () => {
  test("is the only one that stays, where it has ended", () => {
    expect(endedContainer([ended], null)?.id).toBe("c1");
    expect(endedContainer([ended, { ...ended, id: "c2", leaving: true }], null)?.id).toBe("c1");
    expect(endedContainer([ended, { ...ended, id: "c2", running: true, withoutGpu: true }], null)?.id).toBe("c1");
  });

  test("is the one that served last, where an up that failed has left another", () => {
    expect(endedContainer([{ ...ended, id: "c2" }, ended], "c1")?.id).toBe("c1");
  });

  test("is none that runs, that Docker is about to start, that was asked to go, or that might be another's predecessor", () => {
    for (const found of [
      [],
      [{ ...ended, running: true }],
      [{ ...ended, restarting: true }],
      [{ ...ended, leaving: true }],
    ])
      expect(endedContainer(found, "c1")).toBeNull();
    expect(endedContainer([ended, { ...ended, id: "c2" }], "c3")).toBeNull();
    expect(endedContainer([ended, { ...ended, id: "c2", running: true }], "c1")).toBeNull();
  });
});

describe("a proxy", () => {
  let home: string;
  let path: string | undefined;
  const calls = async () => await readFile(join(home, "calls"), "utf8").catch(() => "");
  const count = async (call: RegExp) => [...(await calls()).matchAll(call)].length;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "lmstack-proxy-container-"));
    path = process.env.PATH;
    process.env.PATH = `${home}:${path}`;
  });

  afterEach(async () => {
    process.env.PATH = path;
    await rm(home, { recursive: true, force: true });
  });

  /** Its container has ended, and does not start with the GPU as long as the file `broken` is there. */
  async function putDocker(gpu: boolean): Promise<void> {
    const requests = gpu ? [{ Driver: "", Count: -1, Capabilities: [["gpu"]] }] : [];
    const state = { Running: false, ExitCode: 128 };
    const declared = {
      ...inspection,
      HostConfig: { ...inspection.HostConfig, DeviceRequests: requests },
      State: state,
    };
    const other = {
      Id: "c2",
      Config: { Labels: { [dockerLabels.standIn]: inspection.Id } },
      HostConfig: { RestartPolicy: { Name: "no" } },
      State: { ...state, Running: true },
    };
    await writeFile(join(home, "alone"), JSON.stringify([declared]));
    await writeFile(join(home, "both"), JSON.stringify([declared, other]));
    await writeFile(join(home, "broken"), "");
    await writeFile(
      join(home, "docker"),
      `#!/bin/sh
cd ${home}
echo "$*" >> calls
case "$1" in
  ps) echo c1 ;;
  inspect) if [ -e stands ]; then cat both; else cat alone; fi ;;
  start) [ ! -e broken ] || { echo 'nvml error: driver/library version mismatch' >&2; exit 1; } ;;
  run) touch stands ;;
esac
`,
    );
    await chmod(join(home, "docker"), 0o755);
  }

  async function watched(port: number, until: () => Promise<boolean>) {
    const said: string[] = [];
    const host = hostAt(home, () => {});
    await mkdir(host.paths.proxy, { recursive: true });
    await writeFile(join(host.paths.proxy, "proxy.json"), JSON.stringify({ listen: { host: "0.0.0.0", port } }));
    const stop = new AbortController();
    const watch = keepProxyContainer(host, (line) => said.push(line), stop.signal, { everyMs: 10, retryMs: 10 });
    await vi.waitUntil(until, { timeout: 10_000 });
    stop.abort();
    await watch;
    return { said, journal: await readJournal(host) };
  }

  test("that nobody hears any more is started again and again, and why it does not start is told once", async () => {
    await putDocker(false);
    const { said, journal } = await watched(await freePort(), async () => (await count(/^start/gm)) > 2);
    const why = "it does not start: nvml error: driver/library version mismatch";
    expect(said).toEqual([`starting the proxy's container, because it had ended: ${why}`]);
    expect(journal).toMatchObject([{ result: why, ok: false }]);
    expect(await count(/^run/gm)).toBe(0);
  });

  test("whose container does not start with the GPU serves without it, and with it as soon as that works", async () => {
    await putDocker(true);
    const mended = async () => {
      const tried = await count(/^start/gm);
      if (tried >= 3) await rm(join(home, "broken"), { force: true });
      return tried >= 3 && (await readJournal(hostAt(home, () => {}))).length > 2;
    };
    const { journal } = await watched(await freePort(), mended);
    expect(await count(/^run/gm)).toBe(1);
    expect(journal.slice(0, 3).map(({ what, ok }) => [what, ok])).toEqual([
      ["starting the proxy's container", false],
      ["starting the proxy without the GPU", true],
      ["starting the proxy's container", true],
    ]);
  });

  test("that listens costs no call of docker but the first, which looks for one that stands in", async () => {
    await putDocker(true);
    await rm(join(home, "broken"));
    let heard = 0;
    const server = createServer((socket) => {
      heard += 1;
      socket.destroy();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await watched(port, async () => heard > 5);
    server.close();
    expect(await count(/^ps/gm)).toBe(1);
  });
});

test("one without the GPU is the same in all else, and is nobody's declared container", () => {
  const told = JSON.stringify([{ ...inspection, HostConfig: { ...inspection.HostConfig, DeviceRequests: [{}] } }]);
  const words = standInWords(told) ?? [];
  const valuesOf = (flag: string) => words.flatMap((word, at) => (word === flag ? [words[at + 1]] : []));
  expect(words.slice(0, 3)).toEqual(["run", "--detach", "--rm"]);
  expect(words.at(-1)).toBe(inspection.Image);
  expect(valuesOf("--user")).toEqual(["1000:1000"]);
  expect(valuesOf("--network")).toEqual(["host"]);
  expect(words).toContain("--read-only");
  expect(valuesOf("--cap-drop")).toEqual(["ALL"]);
  expect(valuesOf("--security-opt")).toEqual(["no-new-privileges"]);
  expect(valuesOf("--mount")).toEqual(['type=bind,"source=/home/a,b/proxy",target=/run/lmstack']);
  expect(valuesOf("--tmpfs")).toEqual(["/tmp:rw,size=16m"]);
  expect(valuesOf("--log-opt")).toEqual(["max-size=10m"]);
  expect(valuesOf("--env")).toEqual(["NODE_ENV=production"]);
  expect(valuesOf("--label")).toEqual([
    `${dockerLabels.stack}=s`,
    `${dockerLabels.token}=`,
    `${dockerLabels.standIn}=${inspection.Id}`,
  ]);
  expect(words).not.toContain("--gpus");
});
