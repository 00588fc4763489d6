import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { tellGpus } from "../../../../hostctl/supervisor/gpu.ts";
import { gpuFileName, readGpuFile } from "../../../../infra/spec/gpu-facts.ts";

const fake = join(import.meta.dirname, "../../../../images/test-host/nvidia-smi");

let home: string;
let stop: AbortController;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "lmstack-gpu-"));
  stop = new AbortController();
  await mkdir(join(home, "bin"));
});
afterEach(async () => {
  stop.abort();
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

async function install(script: string): Promise<void> {
  const file = join(home, "bin", "nvidia-smi");
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o700);
  vi.stubEnv("PATH", `${join(home, "bin")}:${process.env.PATH}`);
}

const host = () => hostAt(home, () => {});
const read = async () => await readFile(join(host().paths.proxy, gpuFileName), "utf8");

test("the proxy is told of the card again and again, in a file that only its account can read", async () => {
  await mkdir(host().paths.proxy, { recursive: true });
  await install(`exec sh ${fake} "$@"`);
  const telling = tellGpus(host(), stop.signal, 10);
  const first = await vi.waitFor(read, { timeout: 10_000 });
  expect(readGpuFile(first, Date.now())).toMatchObject([{ name: "NVIDIA GeForce RTX 5090", temperatureCelsius: 41 }]);
  expect((await stat(join(host().paths.proxy, gpuFileName))).mode & 0o777).toBe(0o600);
  await vi.waitFor(async () => expect(await read()).not.toBe(first), { timeout: 10_000 });
  stop.abort();
  await telling;
  expect(await readdir(host().paths.proxy)).toEqual([gpuFileName]);
});

test("a host without nvidia-smi is not asked twice", async () => {
  await mkdir(host().paths.proxy, { recursive: true });
  vi.stubEnv("PATH", join(home, "bin"));
  await tellGpus(host(), stop.signal, 1);
  expect(await readdir(host().paths.proxy)).toEqual([]);
});

test("a driver that fails leaves no file behind, and one that hangs ends with the supervisor", async () => {
  await mkdir(host().paths.proxy, { recursive: true });
  await install(`echo "No devices were found"; echo x >> ${home}/calls; exit 6`);
  const telling = tellGpus(host(), stop.signal, 1);
  await vi.waitFor(async () => expect((await readFile(`${home}/calls`, "utf8")).length).toBeGreaterThan(4));
  await install("exec sleep 1000");
  stop.abort();
  await telling;
  expect(await readdir(host().paths.proxy)).toEqual([]);
});

test("the driver is left alone until there is a proxy", async () => {
  vi.stubEnv("PATH", "");
  // Asked now, it would be found missing, and never be asked again.
  const telling = tellGpus(host(), stop.signal, 5);
  await install(`exec /bin/sh ${fake} "$@"`);
  vi.stubEnv("PATH", `${join(home, "bin")}:/usr/bin:/bin`);
  await mkdir(host().paths.proxy, { recursive: true });
  await vi.waitFor(read, { timeout: 10_000 });
  stop.abort();
  await telling;
});
