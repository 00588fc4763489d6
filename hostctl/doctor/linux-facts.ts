/** Asks a Linux host: its files, and a few tools that need no root. */
import { access, realpath, statfs } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../atomic-file.ts";
import { lastLine, run } from "../command.ts";
import type { Host } from "../host.ts";
import type { LinuxFacts } from "./linux.ts";

export async function linuxFacts(host: Host, modelPaths: readonly string[]): Promise<LinuxFacts> {
  const [gpu, lingers, space, mounts, fstab, units, clock] = await Promise.all([
    askGpu(host),
    exists(join("/var/lib/systemd/linger", host.user)),
    statfs(host.home),
    readText("/proc/self/mountinfo"),
    readText("/etc/fstab"),
    run(host, "systemctl", ["list-unit-files", "--type=mount", "--state=enabled", "--no-legend"], { timeoutMs: 5000 }),
    run(host, "timedatectl", ["show", "-p", "NTPSynchronized", "--value"], { timeoutMs: 5000 }),
  ]);
  const atBoot = new Set([...parseFstab(fstab ?? ""), ...parseMountUnits(units.stdout)]);
  const points = parseMountPoints(mounts ?? "");
  return {
    user: host.user,
    gpu,
    lingers,
    freeBytes: space.bavail * space.bsize,
    totalBytes: space.blocks * space.bsize,
    models: await Promise.all(
      modelPaths.map(async (path) => {
        const real = await realpath(path).catch(() => null);
        const mountPoint = mountPointOf(real ?? path, points);
        return { path, there: real !== null, mountPoint, mountedAtBoot: mountPoint === "/" || atBoot.has(mountPoint) };
      }),
    ),
    clockSynchronized: { yes: true, no: false }[clock.stdout.trim()] ?? null,
  };
}

async function askGpu(host: Host): Promise<LinuxFacts["gpu"]> {
  const query = ["--query-gpu=driver_version,persistence_mode", "--format=csv,noheader"];
  const { code, stdout, stderr } = await run(host, "nvidia-smi", query, { timeoutMs: 10_000 });
  const [driver, mode] = (stdout.split("\n")[0] ?? "").split(", ");
  if (code === 0 && driver) return { driver, persistence: mode !== "Disabled" };
  return { error: code === null ? "there is none, or it hangs" : lastLine(`${stdout}\n${stderr}`) || `exit ${code}` };
}

/** The kernel writes a space as `\040`. */
const unescaped = (path: string): string =>
  path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

export function parseMountPoints(mountinfo: string): string[] {
  return mountinfo
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map(unescaped);
}

/** Mount points that are mounted at boot: not those with `noauto`. */
export function parseFstab(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([device = "", point, , options = ""]) => !/^(#|$)/.test(device) && point && !/\bnoauto\b/.test(options))
    .map(([, point = ""]) => unescaped(point));
}

/** `mnt-my\x2dmodels.mount enabled …`: systemd's own escaping, of a path without its first slash. */
export function parseMountUnits(text: string): string[] {
  return [...text.matchAll(/^\s*(\S+)\.mount\s/gm)].map(
    ([, name = ""]) =>
      `/${name.replaceAll("-", "/").replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))}`,
  );
}

export function mountPointOf(path: string, points: readonly string[]): string {
  const within = points.filter((point) => point === "/" || path === point || path.startsWith(`${point}/`));
  return within.sort((a, b) => b.length - a.length)[0] ?? "/";
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
