/** A scratch HOME with the stand-in installed, and `lms` run in it as a person would. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Installation, type InstallOptions, installInto } from "../../lmstudio-sim/install.ts";

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ScratchHome extends AsyncDisposable {
  readonly home: string;
  readonly sim: Installation;
  /** Without a terminal and with empty input. */
  lms(...args: string[]): Promise<Ran>;
  /** `lms … --json`, parsed. */
  json<T>(...args: string[]): Promise<T>;
}

export async function scratchHome(options: InstallOptions = {}): Promise<ScratchHome> {
  const home = await mkdtemp(join(tmpdir(), "lmstudio-sim-"));
  const sim = await installInto(home, options);
  const lms = (...args: string[]): Promise<Ran> => run(sim.lms, args, home);
  return {
    home,
    sim,
    lms,
    json: async (...args) => JSON.parse((await lms(...args, "--json")).out) as never,
    [Symbol.asyncDispose]: async () => {
      await sim.stop();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export function run(program: string, args: readonly string[], home: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { HOME: home, PATH: "/usr/bin:/bin" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
}

/** A port that was free a moment ago: for what wants to be told a number. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
