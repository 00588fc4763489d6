/** Runs shell text on the box that is to be prepared: over `ssh`, or on this machine. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { CliFault } from "../fault.ts";

export interface Remote {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identity?: string;
  readonly proxyJump?: string;
  /** Pinned when known; else ssh asks as it always does. */
  readonly hostKey?: string;
}

export interface Reach extends AsyncDisposable {
  readonly name: string;
  /** @throws with the box's name and what ssh or the command said */
  read(command: string, stdin?: string): Promise<string>;
  /** Shows its output on standard error as it comes; `terminal` lets it ask for a password. Resolves to the exit code. */
  show(command: string, terminal: boolean): Promise<number>;
}

export async function reach(target: Remote | "local"): Promise<Reach> {
  if (target === "local")
    return over(
      "this machine",
      "sh",
      (command) => ["-c", command],
      async () => {},
    );
  const folder = await mkdtemp(join(tmpdir(), "lmstack-ssh-"));
  const pinned: string[] = [];
  if (target.hostKey !== undefined) {
    const address = target.port === 22 ? target.host : `[${target.host}]:${target.port}`;
    await writeFile(join(folder, "known_hosts"), `${address} ${target.hostKey}\n`);
    pinned.push("-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`, "-o", "StrictHostKeyChecking=yes");
  }
  // One connection for all commands: a password or passphrase is asked for once.
  const shared = [
    "-o",
    "ControlMaster=auto",
    "-o",
    `ControlPath=${join(folder, "%C")}`,
    "-o",
    "ControlPersist=60",
    "-o",
    "ConnectTimeout=15",
  ];
  const args = [
    ...["-p", String(target.port), "-l", target.user, ...pinned, ...shared],
    ...(target.identity === undefined ? [] : ["-i", target.identity, "-o", "IdentitiesOnly=yes"]),
    ...(target.proxyJump === undefined ? [] : ["-J", target.proxyJump]),
  ];
  return over(
    `${target.user}@${target.host}:${target.port}`,
    "ssh",
    (command, terminal) => [...args, ...(terminal ? ["-t"] : []), target.host, command],
    async () => {
      await execa("ssh", [...args, "-O", "exit", target.host], { reject: false });
      await rm(folder, { recursive: true, force: true });
    },
  );
}

function over(
  name: string,
  program: string,
  words: (command: string, terminal: boolean) => string[],
  close: () => Promise<void>,
): Reach {
  return {
    name,
    async read(command, stdin = "") {
      const result = await execa(program, words(command, false), { input: stdin, reject: false });
      if (result.exitCode === 0) return result.stdout;
      const said = result.stderr.trim() || result.shortMessage || `exit ${result.exitCode}`;
      const next =
        program === "ssh" && result.exitCode === 255
          ? ` Next: make \`ssh -p … ${name.replace(/:\d+$/, "")}\` work by itself`
          : "";
      throw new CliFault(`${name}: ${said}.${next}`);
    },
    async show(command, terminal) {
      const result = await execa(program, words(command, terminal), {
        // Progress, all of it: standard output belongs to the result.
        stdio: [terminal ? "inherit" : "ignore", process.stderr, "inherit"],
        reject: false,
      });
      return result.exitCode ?? 1;
    },
    [Symbol.asyncDispose]: close,
  };
}
