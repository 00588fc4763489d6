import { access, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Platform } from "../../infra/spec/host-documents.ts";
import { roomFor } from "../../infra/spec/space.ts";
import { readText } from "../atomic-file.ts";
import { run } from "../command.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Content of /proc/cpuinfo, empty elsewhere. */
  readonly cpuinfo: string;
  readonly ldconfig: boolean;
  /** Output of `ldconfig -p`. */
  readonly libraries: string;
}

/** What LM Studio's installer asks of a machine, all faults at once, before anything is touched. */
export function machineFaults(machine: Machine, wanted: Platform): string[] {
  const faults: string[] = [];
  const os = wanted === "macos-metal" ? "darwin" : "linux";
  if (machine.platform !== os) return [`platform ${wanted} needs ${os}, this host runs ${machine.platform}`];
  if (os === "darwin") {
    return machine.arch === "arm64"
      ? []
      : [`LM Studio runs headless on Apple silicon only, this host is ${machine.arch}`];
  }
  if (!["x64", "arm64"].includes(machine.arch))
    faults.push(`LM Studio has no build for ${machine.arch}, only for x64 and arm64`);
  if (machine.arch === "x64" && !/^flags\b.*\bavx2\b/m.test(machine.cpuinfo))
    faults.push("the processor has no AVX2, which LM Studio needs");
  if (!machine.ldconfig) faults.push("ldconfig is missing (Debian, Ubuntu: package libc-bin)");
  else if (!machine.libraries.includes("libatomic.so.1"))
    faults.push("libatomic.so.1 is missing (Debian, Ubuntu: package libatomic1)");
  return faults;
}

export async function readMachine(host: Host): Promise<Machine> {
  const base = { platform: process.platform, arch: process.arch };
  if (host.platform !== "linux") return { ...base, cpuinfo: "", ldconfig: true, libraries: "" };
  // An ordinary user's PATH often lacks sbin.
  for (const path of ["/sbin/ldconfig", "/usr/sbin/ldconfig"]) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    ) {
      const { stdout } = await run(host, path, ["-p"], { timeoutMs: 10_000 });
      return { ...base, cpuinfo: (await readText("/proc/cpuinfo")) ?? "", ldconfig: true, libraries: stdout };
    }
  }
  return { ...base, cpuinfo: (await readText("/proc/cpuinfo")) ?? "", ldconfig: false, libraries: "" };
}

export async function requireMachine(host: Host, wanted: Platform): Promise<void> {
  const faults = machineFaults(await readMachine(host), wanted);
  if (faults.length === 0) return;
  throw new HostFailure(
    "prerequisite_missing",
    `LM Studio cannot run on this host: ${faults.join("; ")}`,
    "`npx lmstack host prepare` installs what packages can bring",
  );
}

/** Bytes that must be free where `path` is (or will be), plus a reserve. */
export async function requireSpace(path: string, bytes: number, what: string): Promise<void> {
  let folder = path;
  for (;;) {
    try {
      const { bavail, bsize } = await statfs(folder);
      const free = bavail * bsize;
      const needed = roomFor(bytes);
      if (free >= needed) return;
      throw new HostFailure(
        "disk_full",
        `${what}: found ${size(free)} free in ${folder}; expected ${size(needed)} (5 % or 1 GiB to spare)`,
        "free some space or choose another place, then run up again",
      );
    } catch (error) {
      if (errno(error) !== "ENOENT") throw error;
      folder = dirname(folder);
    }
  }
}

export function size(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}
