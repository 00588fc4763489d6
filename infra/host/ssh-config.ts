/** The one ssh configuration of a stack: observation, Commands, uploads and the Docker provider all use it. */
import { createHash } from "node:crypto";
import type { RemoteConnection } from "../spec/host-spec.ts";

/** The name under which the configuration knows the host. */
export const alias = "lmstack";

export interface SshPlaces {
  readonly knownHosts: string;
  /** Short folder of this user (mode 0700) for control sockets: a socket's whole path has to stay under some 100 bytes. */
  readonly controlFolder: string;
  /** `identityfile …` and the like, as the operator's own ssh would use them for this host. Never an input of a resource. */
  readonly identity: readonly string[];
}

const quoted = (path: string): string => (/[\s"]/.test(path) ? `"${path.replaceAll('"', '\\"')}"` : path);

export const renderKnownHosts = (connection: RemoteConnection): string =>
  `${alias} ${connection.hostKey.split(" ").slice(0, 2).join(" ")}\n`;

/** Jump hosts are the operator's business: a plain `ssh` resolves them with the operator's own configuration. */
function proxyCommand(proxyJump: string): string {
  const hops = proxyJump.split(",");
  const last = (hops.pop() as string).replace(/^(.*):(\d+)$/, (_, host: string, port: string) => `-p ${port} ${host}`);
  const before = hops.length > 0 ? `-J ${hops.join(",")} ` : "";
  return `ssh -o BatchMode=yes -o ConnectTimeout=10 ${before}-W [%h]:%p ${last}`;
}

export function renderSshConfig(connection: RemoteConnection, places: SshPlaces): string {
  const { host, port, user, proxyJump } = connection;
  const settings: (string | undefined)[] = [
    `HostName ${host.replace(/^\[(.*)\]$/, "$1")}`,
    `Port ${port}`,
    `User ${user}`,
    // The key is pinned under the alias, so neither address nor port nor the operator's own known_hosts play a part.
    `HostKeyAlias ${alias}`,
    `UserKnownHostsFile ${quoted(places.knownHosts)}`,
    "GlobalKnownHostsFile /dev/null",
    `HostKeyAlgorithms ${hostKeyAlgorithms(connection.hostKey)}`,
    "StrictHostKeyChecking yes",
    "UpdateHostKeys no",
    "BatchMode yes",
    "LogLevel ERROR",
    ...places.identity,
    proxyJump === undefined ? undefined : `ProxyCommand ${proxyCommand(proxyJump)}`,
    "ConnectTimeout 10",
    "ServerAliveInterval 15",
    "ServerAliveCountMax 4",
  ];
  const lines = settings.filter((line) => line !== undefined);
  // Another key, user or jump host must never ride on a connection that was opened under the old terms.
  const terms = createHash("sha256")
    .update([...lines, connection.hostKey].join("\n"))
    .digest("hex")
    .slice(0, 16);
  return [
    "# Written by lmstack on each run; edits are lost.",
    `Host ${alias}`,
    ...lines.map((line) => `  ${line}`),
    // Sharing is opened by the program itself and only used here: a Command whose ssh became the shared connection's owner would be waited for
    // until that connection ends, because a jump host's ssh keeps its output open.
    "  ControlMaster no",
    `  ControlPath ${quoted(`${places.controlFolder}/${terms}`)}`,
    "",
  ].join("\n");
}

const hostKeyAlgorithms = (hostKey: string): string => {
  const type = hostKey.split(" ", 1)[0] as string;
  return type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type;
};

/** Reads `ssh -G`: only what says who the operator is. */
export const identityLines = (effective: string): string[] =>
  effective
    .split("\n")
    .filter((line) => /^(identityfile|identityagent|identitiesonly|certificatefile) (?!none$)/.test(line))
    .map((line) =>
      line.replace(
        /^(identityfile|certificatefile|identityagent) (.*)$/,
        (_, key: string, path: string) => `${key} ${quoted(path)}`,
      ),
    );
