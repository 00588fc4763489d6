/** Peers that are packages of Debian: installed by name when they are missing, never started as services. */
import { ensureDebianPackages } from "../../infra/setup/apt.mjs";
import { findOnPath, runProgram } from "../../infra/setup/program.mjs";

const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** Resolves with the program's path and what `versionArgs` makes it say of itself. */
export async function ensureProgram(name: string, packageName: string, versionArgs: readonly string[]) {
  if (findOnPath(name, path) === undefined) {
    // A package's own scripts start its service where they may; at this run level they do not.
    process.env.RUNLEVEL = "1";
    await ensureDebianPackages([packageName], `${name} is a peer of the measurement`);
    delete process.env.RUNLEVEL;
  }
  const program = findOnPath(name, path);
  if (program === undefined) throw new Error(`${packageName} is installed, but there is no ${name} on ${path}`);
  const { output } = await runProgram(program, [...versionArgs]);
  return { program, version: /\d+\.\d+(?:\.\d+)?/.exec(output)?.[0] ?? "unknown" };
}
