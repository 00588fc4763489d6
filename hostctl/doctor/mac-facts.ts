/** Asks a Mac's own tools. None of these needs root; a tool that fails or says something new yields null. */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../command.ts";
import type { Host } from "../host.ts";
import type { MacFacts } from "./mac.ts";

/** An SSH session's PATH lacks these. */
const folders = "/usr/sbin:/sbin:/usr/libexec/ApplicationFirewall";

export async function macFacts(host: Host, modelPaths: readonly string[]): Promise<MacFacts> {
  const env = { PATH: `${process.env.PATH ?? "/usr/bin:/bin"}:${folders}` };
  const ask = async (file: string, ...args: string[]): Promise<string> => {
    const { code, stdout } = await run(host, file, args, { timeoutMs: 5000, env });
    return code === 0 ? stdout : "";
  };
  const [version, vault, pmset, memory, limit, firewall, apps, autoLogin, node, models] = await Promise.all([
    ask("sw_vers", "-productVersion"),
    ask("fdesetup", "status"),
    ask("pmset", "-g"),
    ask("sysctl", "-n", "hw.memsize"),
    ask("sysctl", "-n", "iogpu.wired_limit_mb"),
    ask("socketfilterfw", "--getglobalstate"),
    ask("socketfilterfw", "--listapps"),
    ask("defaults", "read", "/Library/Preferences/com.apple.loginwindow", "autoLoginUser"),
    realpath(host.program.node).catch(() => process.execPath),
    Promise.all(modelPaths.map(sized)),
  ]);
  return {
    user: host.user,
    node,
    systemVersion: version.trim() || null,
    fileVault: parseFileVault(vault),
    power: parsePmset(pmset),
    memoryBytes: parseNumber(memory),
    wiredLimitMb: parseNumber(limit),
    firewall: parseNumber(/State = (\d)/.exec(firewall)?.[1] ?? ""),
    firewallApps: parseFirewallApps(apps),
    autoLoginUser: autoLogin.trim() || null,
    models,
  };
}

/** While it encrypts or decrypts, the line about that comes after this one. */
export function parseFileVault(text: string): boolean | null {
  const state = /^FileVault is (On|Off)\b/m.exec(text)?.[1];
  return state === undefined ? null : state === "On";
}

/** Lines like ` sleep                1 (sleep prevented by coreaudiod)`; what is no number is left out. */
export function parsePmset(text: string): Record<string, number> {
  const lines = [...text.matchAll(/^ *([A-Za-z][\w ]*?)[ \t]+(\d+)(?: .*)?$/gm)];
  return Object.fromEntries(lines.map(([, name = "", value]) => [name, Number(value)]));
}

/** `1 : /path/of app` and, on the next line, `( Allow incoming connections )`. */
export function parseFirewallApps(text: string): Map<string, "allow" | "block"> {
  const pairs = text.matchAll(/^\d+ : *(.+?) *\n\s*\( *(Allow|Block) incoming connections *\)/gm);
  return new Map([...pairs].map(([, path = "", word]) => [path, word === "Allow" ? "allow" : "block"]));
}

function parseNumber(text: string): number | null {
  return /^\d+$/.test(text.trim()) ? Number(text) : null;
}

/** An MLX model is a folder. */
async function sized(path: string): Promise<{ path: string; bytes: number | null }> {
  try {
    const found = await stat(path);
    if (!found.isDirectory()) return { path, bytes: found.size };
    const sizes = (await readdir(path)).map(async (name) => (await stat(join(path, name))).size);
    return { path, bytes: (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0) };
  } catch {
    return { path, bytes: null };
  }
}
