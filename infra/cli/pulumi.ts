/** Calls of the `pulumi` program, with the engine that the set-up chose when none is on PATH. */
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { CliFault } from "./fault.ts";

export const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

const ofStack = (stack: string | undefined): string[] => (stack === undefined ? [] : ["--stack", stack]);

/** The engine's own environment: what the set-up prints, unless it runs around us already. */
async function environment(): Promise<Record<string, string>> {
  if (process.env.LMSTACK_NODE) return {};
  const script = `${projectRoot}infra/setup/run.mjs`;
  const { stdout } = await execa(process.execPath, [script, "--print-env"], { stderr: "inherit" });
  const lines = stdout.split("\n").map((line) => /^export (\w+)='(.*)'$/.exec(line));
  return Object.fromEntries(
    lines.flatMap((match) => (match ? [[match[1] as string, (match[2] as string).replaceAll("'\\''", "'")]] : [])),
  );
}

/**
 * @param options `input` goes to stdin, where a secret belongs; `folder` holds the project
 * @returns stdout
 * @throws CliFault with pulumi's own words
 */
export async function askPulumi(
  args: readonly string[],
  stack: string | undefined,
  options: { readonly input?: string; readonly folder?: string } = {},
): Promise<string> {
  const all = [...args, ...ofStack(stack), "--non-interactive"];
  const { input = "", folder: cwd = projectRoot } = options;
  const result = await execa("pulumi", all, { cwd, input, env: await environment(), reject: false });
  if (result.failed) throw new CliFault(`pulumi ${args.join(" ")}: ${result.stderr?.trim() || result.message}`);
  return result.stdout;
}

/** With the user's own terminal. @returns the exit status */
export async function runPulumi(args: readonly string[]): Promise<number> {
  const result = await execa("pulumi", args, {
    cwd: projectRoot,
    env: await environment(),
    stdio: "inherit",
    reject: false,
  });
  return result.exitCode ?? 1;
}
