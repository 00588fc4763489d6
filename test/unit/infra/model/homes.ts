/** Homes of hosts behind an `ssh` that only looks like one: hostctl runs in them as on a host. */
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Scratch } from "../../hostctl/scratch.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** Runs what it is told in the home of that stack's host. As with a shared connection, that has our output open and outlives this process. */
const ssh = '#!/bin/sh\nHOME="$(cat "$(dirname "$2")/home")"; export HOME\nexec setsid -w sh -c "$4"\n';

export class Homes implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<Homes> {
    const folder = await mkdtemp(join(tmpdir(), "lmstack-homes-"));
    await mkdir(join(folder, "infra/host"), { recursive: true });
    await copyFile(join(root, "infra/host/on-host.sh"), join(folder, "infra/host/on-host.sh"));
    await writeFile(join(folder, "ssh"), ssh);
    await chmod(join(folder, "ssh"), 0o755);
    return new Homes(folder);
  }

  /** As the project's own folder `infra`. */
  get infra(): string {
    return join(this.#folder, "infra");
  }

  /** With our `ssh` on it. */
  get path(): string {
    return `${this.#folder}:${process.env.PATH}`;
  }

  async add(host: Scratch, stack: string): Promise<void> {
    const current = join(host.home, ".lmstack/current");
    await mkdir(current, { recursive: true });
    await symlink(process.execPath, join(current, "node"));
    await writeFile(join(current, "hostctl.mjs"), `import ${JSON.stringify(join(root, "hostctl/main.ts"))};\n`);
    await mkdir(join(this.#folder, ".lmstack", stack), { recursive: true });
    await writeFile(join(this.#folder, ".lmstack", stack, "home"), host.home);
    await writeFile(join(this.#folder, ".lmstack", stack, "ssh_config"), "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
