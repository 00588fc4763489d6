/** The docker command line, as far as test hosts need it. */
import { execa } from "execa";

/** On everything that test hosts leave behind, so that it can be found and removed; the value is the host's name. */
export const label = "dev.lmstack.test";

/**
 * Runs docker and returns its stdout without the final newline.
 * @throws with docker's own words
 */
export async function dockerRun(args: readonly string[]): Promise<string> {
  const result = await execa("docker", args, { reject: false });
  if (result.exitCode !== 0) {
    throw new Error(
      `docker ${args.slice(0, 3).join(" ")} … failed: ${result.stderr || result.shortMessage || `exit ${result.exitCode}`}`,
    );
  }
  return result.stdout;
}

export async function imageExists(image: string): Promise<boolean> {
  return (await execa("docker", ["image", "inspect", image], { reject: false })).exitCode === 0;
}

/** Names or ids of what carries the label, of one host or of all. */
export async function labelled(kind: "container" | "volume", host?: string): Promise<string[]> {
  const filter = ["--filter", host === undefined ? `label=${label}` : `label=${label}=${host}`];
  const all = kind === "container" ? ["--all"] : [];
  return (await dockerRun([kind, "ls", ...all, "--quiet", ...filter])).split("\n").filter((line) => line !== "");
}
