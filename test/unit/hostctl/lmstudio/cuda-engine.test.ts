import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { cudaEngine } from "../../../../hostctl/lmstudio/cuda-engine.ts";
import { buildInstaller } from "../../../lmstudio-sim/build.ts";
import { Scratch } from "../scratch.ts";

const cpu = { name: "llama.cpp-linux-x86_64-avx2", version: "2.26.0" };
const cuda11 = { name: "llama.cpp-linux-x86_64-nvidia-cuda", version: "2.30.0" };
const old = { name: "llama.cpp-linux-x86_64-nvidia-cuda12", version: "2.9.0" };
const recent = { ...old, version: "2.25.2" };
const fits = (engine: typeof cpu, status = "compatible") => ({ ...engine, compatibility: { status } });
const listed = (selected: typeof cpu) =>
  [cpu, cuda11, old, recent].map((one) => ({ id: `${one.name}@${one.version}`, selected: one === selected }));

test.each([
  [
    "CUDA 12's newest where the CPU's was left selected",
    cpu,
    [cpu, cuda11, old, recent].map((one) => fits(one)),
    recent,
  ],
  ["the one that is selected, if it is CUDA's and fits", old, [cpu, old, recent].map((one) => fits(one)), old],
  [
    "another than the selected one that lacks its libraries",
    cuda11,
    [fits(cuda11, "missingLibraries"), fits(old)],
    old,
  ],
  ["an older CUDA where CUDA 12 does not fit", cpu, [fits(cuda11), fits(recent, "gpuDriverUnsupported")], cuda11],
  ["none where none fits", cpu, [fits(cpu), fits(recent, "noSupportedGpus")], null],
])("a CUDA host without a declared engine gets %s", (_, selected, judged, expected) => {
  expect(cudaEngine({ installed: listed(selected), judged })).toEqual(expected);
});

test("the CPU's engine that a fresh CUDA host has selected is corrected, and the next run is empty", {
  timeout: 120_000,
}, async () => {
  await using host = await Scratch.make({ lmstudio: false });
  await mkdir(join(host.home, "files/bin"));
  await writeFile(join(host.home, "files/bin/nvidia-smi"), "#!/bin/sh\necho 570.86.16\n", { mode: 0o755 });
  vi.stubEnv("PATH", `${join(host.home, "files/bin")}:${process.env.PATH}`);
  const { tarball, sha512 } = await buildInstaller({ version: "0.0.25-1", engine: "script" });
  const document = host.lmstudio({ platform: "linux-cuda", url: `file://${tarball}`, sha512 });
  const { changed } = await host.must("converge", "lmstudio", document);
  const cuda12 = "llama.cpp-linux-x86_64-nvidia-cuda12@2.25.2";
  expect(changed).toContainEqual({ what: "engine", from: "llama.cpp-linux-x86_64-avx2@2.25.2", to: cuda12 });
  expect(await host.lms("runtime", "ls")).toMatch(/cuda12@2\.25\.2\s+✓/);
  expect((await host.must("converge", "lmstudio", document)).changed).toEqual([]);
  // Nor does another start of the daemon bring an engine that updated itself.
  await writeFile(join(host.home, ".lmstudio/.internal/sim-traps.json"), '{"engineUpdatesItself":true}');
  const { pid } = (await host.observe()).lmstudio.daemon;
  process.kill(pid ?? 0, "SIGKILL");
  const daemon = async () => (await host.observe()).lmstudio;
  await expect
    .poll(daemon, { timeout: 15_000 })
    .toMatchObject({ server: { greeting: true }, daemon: { running: true } });
  expect((await daemon()).daemon.pid).not.toBe(pid);
  expect(await host.lms("runtime", "ls")).not.toContain("2.26.0");
  vi.unstubAllEnvs();
});
