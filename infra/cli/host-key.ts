/** The host key that a new stack pins: one that the operator's ssh knows already, or one that is shown and agreed to. */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { execa } from "execa";
import { agree } from "./ask.ts";
import { CliFault, UsageFault } from "./fault.ts";

/** A host as the operator's own ssh understands it. */
export interface SshTarget {
  /** As typed, which is what the operator's own ssh takes. */
  readonly typed: string;
  /** The host's part of that. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly proxyJump?: string;
  /** Under which name known_hosts has it, when that is another one. */
  readonly alias?: string;
  readonly knownHosts: readonly string[];
}

/** `[user@]host[:port]`, an IPv6 address in brackets. */
export function sshWords(typed: string): { readonly words: string[]; readonly host: string } {
  const [, user, host, port] =
    /^(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+|[0-9a-fA-F:]+::?[0-9a-fA-F:]*)(?::(\d+))?$/.exec(typed) ?? [];
  if (host === undefined || host.startsWith("-") || user?.startsWith("-"))
    throw new UsageFault(`--host: found ${JSON.stringify(typed)}; expected [user@]host[:port]`);
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return {
    words: [...(port === undefined ? [] : ["-p", port]), ...(user === undefined ? [] : ["-l", user]), bare],
    host: bare,
  };
}

/** Reads `ssh -G`. */
export function effectiveTarget(typed: string, name: string, effective: string): SshTarget {
  const found = new Map(
    effective.split("\n").map((line) => [line.split(" ", 1)[0] as string, line.slice(line.indexOf(" ") + 1)]),
  );
  const alias = found.get("hostkeyalias");
  const jump = found.get("proxyjump");
  return {
    typed,
    name,
    host: found.get("hostname") ?? name,
    port: Number(found.get("port") ?? 22),
    user: found.get("user") ?? "",
    ...(jump === undefined || jump === "none" ? {} : { proxyJump: jump }),
    knownHosts: ["userknownhostsfile", "globalknownhostsfile"].flatMap((key) => found.get(key)?.split(" ") ?? []),
    ...(alias === undefined || alias === "none" ? {} : { alias }),
  };
}

export async function sshTarget(typed: string): Promise<SshTarget> {
  const { words, host } = sshWords(typed);
  const asked = await execa("ssh", ["-G", ...words], { reject: false });
  if (asked.code === "ENOENT") throw new CliFault("no `ssh` program on this machine. Next: install OpenSSH's client");
  if (asked.failed) throw new UsageFault(`--host ${typed}: ${asked.stderr.trim() || asked.shortMessage}`);
  return effectiveTarget(typed, host, asked.stdout);
}

/** The best key among lines of known_hosts or ssh-keyscan: `TYPE BASE64`. */
export function bestKey(lines: string): string | undefined {
  const keys = lines.split("\n").flatMap((line) => {
    // A marker in front revokes a key or names an authority: neither pins one.
    const [, key] =
      /^(?!#|@)\S+ ((?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]+=*)/.exec(line) ?? [];
    return key === undefined ? [] : [key];
  });
  const rank = (key: string) => ["ssh-ed25519", "ecdsa", "ssh-rsa"].findIndex((type) => key.startsWith(type));
  return keys.sort((a, b) => rank(a) - rank(b))[0];
}

/** As `ssh-keygen -l` shows it. */
export const fingerprint = (key: string): string =>
  `SHA256:${createHash("sha256")
    .update(Buffer.from(key.split(" ")[1] as string, "base64"))
    .digest("base64")
    .replace(/=+$/, "")}`;

/**
 * @param accept take the key that the host shows now, without asking
 * @returns `TYPE BASE64`
 * @throws CliFault when there is none, or nobody agrees
 */
export async function hostKeyOf(target: SshTarget, accept: boolean | undefined): Promise<string> {
  const { host, port } = target;
  const name = target.alias ?? (port === 22 ? host : `[${host}]:${port}`);
  const files = target.knownHosts.map((file) => file.replace(/^~(?=\/)/, homedir()));
  const found = await Promise.all(
    files.map((file) => execa("ssh-keygen", ["-F", name, "-f", file], { reject: false })),
  );
  const trusted = bestKey(found.map(({ stdout }) => stdout ?? "").join("\n"));
  if (trusted !== undefined) {
    console.error(`${name}: the host key ${fingerprint(trusted)} from your known_hosts`);
    return trusted;
  }
  if (target.proxyJump !== undefined)
    throw new CliFault(
      `${host} is reached through ${target.proxyJump}, and your known_hosts has no key of it. Next: \`ssh ${target.typed}\` once, compare the fingerprint, then the same command again`,
    );
  const scan = await execa("ssh-keyscan", ["-T", "10", "-p", String(port), "-t", "ed25519,ecdsa,rsa", host], {
    reject: false,
  });
  const shown = bestKey(scan.stdout ?? "");
  if (shown === undefined)
    throw new CliFault(
      `${host} shows no host key on port ${port} (${scan.stderr?.trim().split("\n").at(-1) || "no answer"}). Next: is it on, and does sshd listen there? \`ssh -p ${port} ${host}\``,
    );
  const words = `${host}:${port} shows the host key ${fingerprint(shown)} (${shown.split(" ", 1)[0]})`;
  console.error(words);
  if (!accept)
    await agree(
      "is that the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)?",
      `${words}, which nobody has confirmed. Next: compare it with \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` on the host, then the same with --accept-host-key`,
    );
  return shown;
}
