/** Calls of the `pulumi` program, with the engine that the set-up chose when none is on PATH. */
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { CliFault } from "./fault.ts";

export const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

const ofStack = (stack: string | undefined): string[] => (stack === undefined ? [] : ["--stack", stack]);

/** The engine's own environment: what the set-up prints, unless it runs around us already. Asked once a command. */
async function environment(): Promise<Record<string, string>> {
  if (process.env.LMSTACK_NODE) return {};
  setUp ??= printedEnvironment();
  return await setUp;
}

/** For the Automation API, which has the environment of this process. */
export async function useEngine(): Promise<void> {
  Object.assign(process.env, await environment());
}

let setUp: Promise<Record<string, string>> | undefined;

async function printedEnvironment(): Promise<Record<string, string>> {
  const script = `${projectRoot}infra/setup/run.mjs`;
  const { stdout } = await execa(process.execPath, [script, "--print-env"], { stderr: "inherit" });
  const lines = stdout.split("\n").map((line) => /^export (\w+)='(.*)'$/.exec(line));
  return Object.fromEntries(
    lines.flatMap((match) => (match ? [[match[1] as string, (match[2] as string).replaceAll("'\\''", "'")]] : [])),
  );
}

export interface Place {
  /** That holds the project. */
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * @param options `input` goes to stdin, where a secret belongs; `failing` takes the output of a run that failed, too, where it says why
 * @returns stdout
 * @throws CliFault with pulumi's own words
 */
export async function askPulumi(
  args: readonly string[],
  stack: string | undefined,
  options: Place & { readonly input?: string; readonly failing?: boolean } = {},
): Promise<string> {
  const all = [...args, ...ofStack(stack), "--non-interactive"];
  const { input = "", folder: cwd = projectRoot } = options;
  const env = { ...(await environment()), ...options.env };
  const result = await execa("pulumi", all, { cwd, input, env, reject: false });
  if (result.failed && !(options.failing && result.stdout))
    throw new CliFault(`pulumi ${args.join(" ")}: ${result.stderr?.trim() || result.message}`);
  return result.stdout;
}

/**
 * With the user's own terminal.
 * @param options `quiet` leaves standard output to our own result: pulumi's goes to standard error
 * @returns the exit status
 */
export async function runPulumi(
  args: readonly string[],
  options: Place & { readonly quiet?: boolean | undefined } = {},
): Promise<number> {
  const result = await execa("pulumi", args, {
    cwd: options.folder ?? projectRoot,
    env: { ...(await environment()), ...options.env },
    stdin: "inherit",
    stdout: options.quiet ? process.stderr : "inherit",
    stderr: "inherit",
    reject: false,
  });
  if (result.code === "ENOENT") throw new CliFault("no `pulumi` on this machine. Next: `npm run setup`");
  return result.exitCode ?? 1;
}

/** Either name may be the short one or ORGANIZATION/PROJECT/NAME. */
const short = (name: string): string => name.split("/").at(-1) as string;

/** Short names. */
export async function stackNames(place: Place = {}): Promise<ReadonlySet<string>> {
  const all = JSON.parse(await askPulumi(["stack", "ls", "--json"], undefined, place)) as { name: string }[];
  return new Set(all.map(({ name }) => short(name)));
}

export const hasStack = async (stack: string): Promise<boolean> => (await stackNames()).has(short(stack));

/** And selects it, so that the verbs after this one mean it. */
export const makeStack = (stack: string): Promise<string> => askPulumi(["stack", "init"], stack);
