/** What LM Studio asks of a machine. All faults are told at once, before anything is touched. */
import { access, stat, statfs } from "node:fs/promises";
import { arch } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { archiveTimes, roomFor } from "../../infra/spec/space.ts";
import { readText } from "../atomic-file.ts";
import { run } from "../command.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** `ProductVersion` of macOS; null elsewhere or when it is not told. */
  readonly macos: string | null;
  /** Content of /proc/cpuinfo, empty elsewhere. */
  readonly cpuinfo: string;
  readonly ldconfig: boolean;
  /** Output of `ldconfig -p`. */
  readonly libraries: string;
  /** Version of NVIDIA's driver; null when nvidia-smi does not answer. */
  readonly driver: string | null;
  readonly freeBytes: number;
}

export interface Wanted extends Pick<LmstudioDocument, "platform" | "url" | "engine"> {
  /** Null when nobody can tell yet: then it is looked at when the first byte arrives. */
  readonly archiveBytes: number | null;
}

/** LM Studio's installer takes its CUDA 12 archive from this driver on, and the CUDA 12 engines need it. */
const cudaDriver = "550.54.14";
export const oldestMacos = "14.0";

export function machineFaults(machine: Machine, wanted: Wanted): string[] {
  const os = wanted.platform === "macos-metal" ? "darwin" : "linux";
  // On another system than the declared one every further finding would be noise.
  if (machine.platform !== os)
    return [`platform ${wanted.platform} needs ${os}, this host runs ${machine.platform}: correct platform`];
  return [...(os === "darwin" ? macFaults(machine) : linuxFaults(machine, wanted)), ...spaceFaults(machine, wanted)];
}

function* macFaults({ arch, macos }: Machine): Iterable<string> {
  if (arch !== "arm64") yield `LM Studio runs headless on Apple silicon only, this host is ${arch}`;
  if (macos !== null && isOlder(macos, oldestMacos))
    yield `LM Studio needs macOS ${oldestMacos} or newer, this host has ${macos}: update macOS`;
}

function* linuxFaults(machine: Machine, { platform, url, engine }: Wanted): Iterable<string> {
  const { arch, cpuinfo, ldconfig, libraries, driver } = machine;
  if (!["x64", "arm64"].includes(arch)) yield `LM Studio has no build for ${arch}, only for x64 and arm64`;
  if (arch === "x64" && !/^flags\b.*\bavx2\b/m.test(cpuinfo))
    yield "the processor has no AVX2, which LM Studio needs: use another machine";
  if (!ldconfig) yield "ldconfig is missing: install libc-bin (Debian, Ubuntu)";
  else if (!libraries.includes("libatomic.so.1"))
    yield "libatomic.so.1 is missing: install libatomic1 (Debian, Ubuntu)";
  const cuda = url.includes("+cuda12") || (engine?.name.includes("cuda12") ?? false);
  if (platform !== "linux-cuda" || !cuda) return;
  if (driver === null)
    yield `NVIDIA driver ${cudaDriver} or newer is needed for CUDA 12, but nvidia-smi does not answer: install the driver`;
  else if (isOlder(driver, cudaDriver))
    yield `NVIDIA driver ${cudaDriver} or newer is needed for CUDA 12, this host has ${driver}: update the driver`;
}

function* spaceFaults({ freeBytes }: Machine, { archiveBytes }: Wanted): Iterable<string> {
  const needed = archiveBytes === null ? 0 : roomFor(archiveBytes * archiveTimes);
  if (freeBytes < needed)
    yield `installing LM Studio needs ${size(needed)} in the home folder, but only ${size(freeBytes)} are free: free some space`;
}

/** What is worth a word, but no reason to stop. */
export function machineWarnings({ platform, ldconfig, libraries }: Machine): string[] {
  if (platform !== "linux" || !ldconfig || libraries.includes("libgomp.so.1")) return [];
  return ["libgomp.so.1 is missing, which some engines of LM Studio need (Debian, Ubuntu: libgomp1)"];
}

/** Compares versions of numbers and dots. */
function isOlder(version: string, than: string): boolean {
  const [found, wanted] = [version, than].map((text) => text.split(".").map(Number));
  const difference = (wanted ?? []).map((part, index) => (found?.[index] ?? 0) - part).find((step) => step !== 0);
  return (difference ?? 0) < 0;
}

async function readMachine(host: Host): Promise<Machine> {
  const tool = async (file: string, ...args: string[]): Promise<string | null> => {
    const { code, stdout } = await run(host, file, args, { timeoutMs: 10_000 });
    return code === 0 ? (stdout.split("\n")[0] ?? "").trim() || null : null;
  };
  const linux = host.platform === "linux";
  const [machine, ldconfig, driver, macos, cpuinfo, space] = await Promise.all([
    linux ? null : tool("uname", "-m"),
    linux ? findLdconfig() : null,
    linux ? tool("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") : null,
    host.platform === "darwin" ? tool("sw_vers", "-productVersion") : null,
    linux ? readText("/proc/cpuinfo") : null,
    statfs(host.home),
  ]);
  const libraries = ldconfig === null ? "" : (await run(host, ldconfig, ["-p"], { timeoutMs: 10_000 })).stdout;
  return {
    platform: host.platform,
    arch: machine ?? arch(),
    macos,
    cpuinfo: cpuinfo ?? "",
    ldconfig: ldconfig !== null,
    libraries,
    driver,
    freeBytes: space.bavail * space.bsize,
  };
}

/** An ordinary user's PATH often lacks sbin. */
async function findLdconfig(): Promise<string | null> {
  for (const path of ["/sbin/ldconfig", "/usr/sbin/ldconfig"]) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}

export async function requireMachine(host: Host, document: LmstudioDocument): Promise<void> {
  const { platform, url, engine } = document;
  const archiveBytes = url.startsWith("file:")
    ? ((await stat(fileURLToPath(url)).catch(() => null))?.size ?? null)
    : null;
  const machine = await readMachine(host);
  for (const words of machineWarnings(machine)) host.say(words);
  const faults = machineFaults(machine, { platform, url, archiveBytes, ...(engine === undefined ? {} : { engine }) });
  if (faults.length === 0) return;
  throw new HostFailure(
    "prerequisite_missing",
    `LM Studio ${document.version} cannot run on this host: ${faults.join("; ")}`,
    "`npx lmstack host prepare` installs what packages can bring; nothing was touched",
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
