// What `node` is started with to run a Pulumi program: pure, so that it can be read and tested as a table.

export interface ProgramOptions {
  /** `options` of `runtime` in Pulumi.yaml. */
  readonly typescript: boolean;
  readonly tsconfig?: string;
  readonly nodeArguments: readonly string[];
}

export interface ProgramRun {
  readonly monitor: string;
  readonly engine: string;
  readonly organization: string;
  readonly project: string;
  readonly rootDirectory: string;
  readonly programDirectory: string;
  readonly stack: string;
  readonly dryRun: boolean;
  readonly parallel: number;
  readonly entryPoint: string;
  readonly programArguments: readonly string[];
}

/** Exit code with which `@pulumi/pulumi` says that it has already told the user what is wrong. */
export const ALREADY_REPORTED = 32;

/** @throws when an option has the wrong type; the sentence names it. */
export function programOptions(raw: Readonly<Record<string, unknown>>): ProgramOptions {
  const { typescript = true, tsconfig, nodeargs = "" } = raw;
  if (typeof typescript !== "boolean") throw new Error("typescript option must be a boolean");
  if (typeof nodeargs !== "string") throw new Error("nodeargs option must be a string");
  if (tsconfig !== undefined && typeof tsconfig !== "string") throw new Error("tsconfig option must be a string");
  return {
    typescript,
    nodeArguments: splitWords(nodeargs),
    ...(tsconfig === undefined ? {} : { tsconfig }),
  };
}

/** Words as a shell sees them: spaces separate, single and double quotes hold together, a backslash takes one literally. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+/gs)) {
    words.push(
      word.replace(/\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'/gs, (_, escaped, double, single) => {
        if (escaped !== undefined) return escaped;
        return double === undefined ? single : double.replace(/\\(["\\$`])/g, "$1");
      }),
    );
  }
  return words;
}

export function programArguments(run: ProgramRun, options: ProgramOptions, runModule: string): string[] {
  const named = (name: string, value: string): string[] => (value === "" ? [] : [`--${name}`, value]);
  return [
    ...options.nodeArguments,
    runModule,
    ...named("monitor", run.monitor),
    ...named("engine", run.engine),
    ...named("organization", run.organization),
    ...named("project", run.project),
    ...named("root-directory", run.rootDirectory),
    ...named("stack", run.stack),
    ...named("pwd", run.programDirectory),
    ...(run.dryRun ? ["--dry-run"] : []),
    ...named("parallel", String(run.parallel)),
    run.entryPoint || ".",
    ...run.programArguments,
  ];
}

export function programEnvironment(
  options: ProgramOptions,
  config: Readonly<Record<string, string>>,
  secretKeys: readonly string[],
): Record<string, string> {
  return {
    PULUMI_CONFIG: JSON.stringify(config),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(secretKeys),
    ...(options.typescript ? { PULUMI_NODEJS_TYPESCRIPT: "true" } : {}),
    ...(options.tsconfig === undefined ? {} : { PULUMI_NODEJS_TSCONFIG_PATH: options.tsconfig }),
  };
}

export type Outcome = { readonly bail: true } | { readonly error: string } | { readonly ok: true };

export function programOutcome(code: number | null, signal: string | null): Outcome {
  if (code === 0) return { ok: true };
  if (code === ALREADY_REPORTED) return { bail: true };
  if (code !== null) return { error: `Program exited with non-zero exit code: ${code}` };
  return { error: `Program was ended by ${signal ?? "an unknown signal"}` };
}
