import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { gpuFileName, readGpuFile, readGpuLines } from "../../../../infra/spec/gpu-facts.ts";
import { GpuReader } from "../../../../proxy/seeing/gpu.ts";
import { newYear } from "./records.ts";

const fake = join(import.meta.dirname, "../../../../images/test-host/nvidia-smi");
const card = {
  index: 0,
  name: "NVIDIA GeForce RTX 5090",
  memoryUsedBytes: 18231 * 1_048_576,
  memoryTotalBytes: 32607 * 1_048_576,
  utilization: 0.03,
  temperatureCelsius: 41,
  powerWatts: 27.46,
};

let folder: string;
let now = newYear;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-gpu-"));
  vi.stubEnv("PATH", folder);
  now = newYear;
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** Puts an `nvidia-smi` on the PATH that notes each call. */
async function driver(script: string): Promise<() => Promise<number>> {
  const file = join(folder, "nvidia-smi");
  await writeFile(file, `#!/bin/sh\necho called >> ${folder}/calls\n${script}\n`);
  await chmod(file, 0o700);
  return async () => (await readFile(join(folder, "calls"), "utf8").catch(() => "")).split("\n").length - 1;
}

async function supervisorSays(at: number): Promise<void> {
  const gpus = [{ ...card, temperatureCelsius: 77 }];
  await writeFile(join(folder, gpuFileName), JSON.stringify({ at: new Date(at).toISOString(), gpus }));
}

const reader = () => new GpuReader(folder, () => now);

describe("the card", () => {
  it("is asked of the driver", async () => {
    vi.stubEnv("PATH", [folder, "/usr/bin", "/bin"].join(delimiter));
    await driver(`exec sh ${fake} "$@"`);
    expect(await reader().facts()).toEqual([card]);
  });

  it("is asked for at most every ten seconds, and only when somebody looks", async () => {
    const calls = await driver('echo "0, A, 1, 2, 3, 4, 5"');
    const gpus = reader();
    expect(await calls()).toBe(0);
    await Promise.all([gpus.facts(), gpus.facts()]);
    now += 9_000;
    await gpus.facts();
    expect(await calls()).toBe(1);
    now += 30_000;
    await gpus.facts();
    expect(await calls()).toBe(2);
  });

  it("is shown as last known while it is asked for again, unless that is long ago", async () => {
    await driver(`cat ${folder}/answer`);
    vi.stubEnv("PATH", [folder, "/usr/bin", "/bin"].join(delimiter));
    const degrees = async (value: number) => await writeFile(join(folder, "answer"), `0, A, 1, 2, 3, ${value}, 5\n`);
    const gpus = reader();
    await degrees(40);
    expect(await gpus.facts()).toMatchObject([{ temperatureCelsius: 40 }]);
    await degrees(50);
    now += 10_000;
    expect(gpus.latest()).toMatchObject([{ temperatureCelsius: 40 }]);
    await vi.waitFor(() => expect(gpus.latest()).toMatchObject([{ temperatureCelsius: 50 }]), { timeout: 10_000 });
    await degrees(60);
    now += 30_000;
    expect(await gpus.facts()).toMatchObject([{ temperatureCelsius: 60 }]);
  });

  it("is read from the supervisor's file where there is no driver", async () => {
    await supervisorSays(now - 20_000);
    expect(await reader().facts()).toEqual([{ ...card, temperatureCelsius: 77 }]);
  });

  it("is read from the supervisor's file when the driver fails", async () => {
    await driver('echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18');
    await supervisorSays(now);
    expect(await reader().facts()).toMatchObject([{ temperatureCelsius: 77 }]);
  });

  it("is unknown when the supervisor's file is stale, torn or absent", async () => {
    expect(await reader().facts()).toEqual([]);
    await supervisorSays(now - 91_000);
    expect(await reader().facts()).toEqual([]);
    await writeFile(join(folder, gpuFileName), '{"at":');
    expect(await reader().facts()).toEqual([]);
  });

  it("is not waited for when the proxy ends", async () => {
    await driver("while :; do :; done");
    const gpus = reader();
    const asked = gpus.facts();
    gpus.stop();
    expect(await asked).toEqual([]);
  });
});

describe("nvidia-smi's lines", () => {
  it("may lack what a card does not know, and name cards in any words", () => {
    const lines =
      "0, NVIDIA GB10, [N/A], [N/A], 7, 55, 12.5\n1, A card, with a comma, 1, 2, [Unknown Error], [N/A], [Not Supported]\n";
    expect(readGpuLines(lines)).toEqual([
      {
        index: 0,
        name: "NVIDIA GB10",
        memoryUsedBytes: null,
        memoryTotalBytes: null,
        utilization: expect.closeTo(0.07),
        temperatureCelsius: 55,
        powerWatts: 12.5,
      },
      {
        index: 1,
        name: "A card, with a comma",
        memoryUsedBytes: 1_048_576,
        memoryTotalBytes: 2_097_152,
        utilization: null,
        temperatureCelsius: null,
        powerWatts: null,
      },
    ]);
  });

  it("that are none are left out", () => {
    expect(readGpuLines("No devices were found\n\n0, short\nNVIDIA-SMI has failed, a, b, c, d, e, f\n")).toEqual([]);
  });
});

it.each([
  "null",
  "[]",
  '{"at":"2026-01-01T00:00:00Z","gpus":{}}',
  '{"at":"2026-01-01T00:00:00Z","gpus":[null,{"index":"0"}]}',
  '{"gpus":[]}',
])("the supervisor's file may hold %s", (text) => {
  expect(readGpuFile(text, newYear)).toEqual([]);
});
