/** Who listens on a TCP port, as the kernel says it: a server that answers on loopback may listen on every address all the same. */
import { readdirSync, readlinkSync } from "node:fs";
import { readText } from "./atomic-file.ts";
import { run } from "./command.ts";
import type { Host } from "./host.ts";

export interface Listener {
  readonly address: string;
  readonly inode: string;
}

export async function listeners(host: Host, port: number): Promise<readonly Listener[]> {
  if (host.platform === "linux") {
    const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(readText));
    return tables.flatMap((table) => parseListeners(table ?? "", port));
  }
  const outcome = await run(host, "lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fn"], { timeoutMs: 3000 });
  return parseLsof(outcome.stdout);
}

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address === "::ffff:127.0.0.1";
}

export function parseListeners(table: string, port: number): Listener[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && fields[1]?.endsWith(suffix))
    .map((fields) => ({ address: decodeAddress((fields[1] ?? "").slice(0, -5)), inode: fields[9] ?? "" }));
}

/** The kernel prints each 32-bit word in host (little endian) order. */
function decodeAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse().map((pair) => Number.parseInt(pair, 16)));
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.every((byte) => byte === 0)) return "::";
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return "::1";
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return `::ffff:${bytes.slice(12).join(".")}`;
  return Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  ).join(":");
}

export function parseLsof(output: string): Listener[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("n"))
    .map((line) => line.slice(1, line.lastIndexOf(":")).replace(/^\[|\]$/g, ""))
    .map((address) => ({ address: address === "*" ? "0.0.0.0" : address, inode: "" }));
}

/** Pid of the process of this account that holds one of these sockets; null when it belongs to somebody else. */
export function ownerOf(found: readonly Listener[]): number | null {
  const wanted = new Set(found.map((listener) => `socket:[${listener.inode}]`));
  for (const name of listFolder("/proc").filter((entry) => /^\d+$/.test(entry))) {
    for (const fd of listFolder(`/proc/${name}/fd`)) {
      try {
        if (wanted.has(readlinkSync(`/proc/${name}/fd/${fd}`))) return Number(name);
      } catch {
        // closed meanwhile
      }
    }
  }
  return null;
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
