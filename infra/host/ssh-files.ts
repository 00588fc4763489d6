/** Writes a stack's ssh configuration. Machine-specific, so it is made anew on each run and never an input of a resource. */
import { execFile } from "node:child_process";
import { chmodSync, lstatSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { RemoteConnection } from "../spec/host-spec.ts";
import { identityLines, renderKnownHosts, renderSshConfig } from "./ssh-config.ts";

const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

/** @param folder the stack's own folder. @throws when ssh is missing or somebody else holds the folder of control sockets. */
export async function writeSshFiles(connection: RemoteConnection, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const knownHosts = join(folder, "known_hosts");
  write(knownHosts, renderKnownHosts(connection));
  const config = renderSshConfig(connection, {
    knownHosts,
    controlFolder: controlFolder(),
    identity: await identity(connection),
  });
  write(join(folder, "ssh_config"), config);
}

/** Whole or not at all: a Command of another run may be reading it. */
function write(path: string, content: string): void {
  const staging = `${path}.${process.pid}`;
  writeFileSync(staging, content, { mode: 0o600 });
  renameSync(staging, path);
}

/** In /tmp because a socket's path is short or refused; the mode is checked because anybody may make folders there. */
function controlFolder(): string {
  const { uid } = userInfo();
  const folder = `/tmp/lmstack-${uid}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`${folder} belongs to somebody else: remove it, lmstack keeps its ssh connections there`);
  chmodSync(folder, 0o700);
  return folder;
}

/** As told once to this process: whoever looks at a fleet again and again starts a program less each time. */
const identities = new Map<string, string[]>();

async function identity(connection: RemoteConnection): Promise<string[]> {
  const named = process.env.LMSTACK_SSH_IDENTITY;
  // The engine starts the program in `infra`, while the variable was set by somebody in the project's own folder; ssh knows `~` itself.
  if (named)
    return [`IdentityFile "${named.startsWith("~") ? named : resolve(projectRoot, named)}"`, "IdentitiesOnly yes"];
  const target = ["-p", String(connection.port), "-l", connection.user, connection.host];
  const known = identities.get(target.join(" "));
  if (known) return known;
  try {
    const lines = identityLines((await promisify(execFile)("ssh", ["-G", ...target])).stdout);
    identities.set(target.join(" "), lines);
    return lines;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return [];
    throw new Error("no `ssh` program on this machine: install OpenSSH's client");
  }
}
