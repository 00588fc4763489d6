import { describe, expect, test } from "vitest";
import { type Machine, machineFaults, machineWarnings } from "../../../../hostctl/lmstudio/prerequisites.ts";

const gib = 2 ** 30;
const linux: Machine = {
  platform: "linux",
  arch: "x64",
  macos: null,
  cpuinfo: "flags\t\t: fpu avx avx2 sse",
  ldconfig: true,
  libraries: "libatomic.so.1 (libc6,x86-64)\nlibgomp.so.1 (libc6,x86-64)",
  driver: "570.86.16",
  freeBytes: 100 * gib,
};
const mac: Machine = { ...linux, platform: "darwin", arch: "arm64", macos: "14.6.1", cpuinfo: "", libraries: "" };
const cpu = { platform: "linux-cpu", url: "https://x/0.0.25-1-linux-x64.full.tar.gz", archiveBytes: gib } as const;
const cuda = { ...cpu, platform: "linux-cuda", url: "https://x/0.0.25-1-linux-x64.full+cuda12.tar.gz" } as const;
const metal = { ...cpu, platform: "macos-metal" } as const;
const cuda12 = { name: "llama.cpp-linux-x86_64-nvidia-cuda12", version: "2.25.2" };

describe("a machine is told all that it lacks", () => {
  test.each([
    ["nothing", [], linux, cuda],
    ["AVX2", ["AVX2"], { ...linux, cpuinfo: "flags : avx" }, cpu],
    ["ldconfig", ["ldconfig"], { ...linux, ldconfig: false }, cpu],
    ["nothing on arm64, which has no AVX2", [], { ...linux, arch: "arm64", cpuinfo: "" }, cpu],
    ["a build", ["no build for riscv64"], { ...linux, arch: "riscv64" }, cpu],
    ["its system", ["needs darwin"], linux, metal],
    ["a newer driver", ["550.54.14 or newer.*has 535.183.01"], { ...linux, driver: "535.183.01" }, cuda],
    [
      "a driver",
      ["nvidia-smi does not answer"],
      { ...linux, driver: null },
      { ...cpu, platform: "linux-cuda", engine: cuda12 },
    ],
    [
      "nothing of CUDA without a CUDA archive or engine",
      [],
      { ...linux, driver: null },
      { ...cpu, platform: "linux-cuda" },
    ],
    ["nothing with the very driver", [], { ...linux, driver: "550.54.14" }, cuda],
    [
      "Apple silicon and a newer macOS",
      ["Apple silicon", "macOS 14.0 or newer.*13.7"],
      { ...mac, arch: "x64", macos: "13.7" },
      metal,
    ],
    ["nothing on a Mac", [], mac, metal],
    [
      "room for archive, unpacked files and one GiB",
      ["needs 4.0 GiB.*only 3.9 GiB"],
      { ...linux, freeBytes: 3.9 * gib },
      cpu,
    ],
    [
      "everything at once",
      ["AVX2", "libatomic.so.1", "550.54.14", "4.0 GiB"],
      { ...linux, cpuinfo: "", libraries: "", driver: "470.1", freeBytes: gib },
      cuda,
    ],
  ] as const)("%s", (_, faults, machine, wanted) => {
    const found = machineFaults(machine, wanted);
    expect(found).toHaveLength(faults.length);
    for (const [index, words] of faults.entries()) expect(found[index]).toMatch(new RegExp(words));
  });

  test("and of libgomp only a word, because not every engine needs it", () => {
    expect(machineWarnings(linux)).toEqual([]);
    expect(machineWarnings({ ...linux, libraries: "libatomic.so.1" })).toEqual([expect.stringContaining("libgomp1")]);
    expect(machineFaults({ ...linux, libraries: "libatomic.so.1" }, cpu)).toEqual([]);
  });
});
