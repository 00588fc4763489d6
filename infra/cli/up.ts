/** `lmstack up`: `pulumi up` of one stack, and what came of it. */
import { CliFault } from "./fault.ts";
import { askPulumi, runPulumi } from "./pulumi.ts";
import { stackOf } from "./stack-file.ts";

export interface UpOptions {
  readonly stack?: string;
  readonly json?: boolean;
}

export interface UpResult {
  readonly ok: true;
  readonly stack: string;
  /** Where clients reach the proxy. */
  readonly endpoint: string;
  readonly models: readonly { readonly id: string; readonly thinking: string }[];
  /** The proof from the operator's side, in words. */
  readonly proof: string;
  /** How many resources were created, updated, the same… */
  readonly resources: Readonly<Record<string, number>>;
}

export async function up(args: readonly string[], options: UpOptions): Promise<void> {
  const { stack } = await stackOf(options.stack);
  const result = await converge(stack, args, options.json);
  if (options.json) console.log(JSON.stringify(result));
}

/**
 * @param quiet standard output is left alone
 * @throws CliFault when pulumi failed; its own words are on the terminal then
 */
export async function converge(stack: string, args: readonly string[], quiet: boolean | undefined): Promise<UpResult> {
  const code = await runPulumi(["up", "--stack", stack, ...args], { quiet });
  if (code !== 0)
    throw new CliFault(
      `pulumi up of ${stack} ended with ${code}; its reasons are above. Next: put them right, then the same command again`,
    );
  const [outputs, history] = await Promise.all([
    askPulumi(["stack", "output", "--json"], stack),
    askPulumi(["stack", "history", "--json", "--page-size", "1"], stack),
  ]);
  const { endpoint, models, proof } = JSON.parse(outputs) as Pick<UpResult, "endpoint" | "models" | "proof">;
  const [last] = JSON.parse(history) as { resourceChanges?: Record<string, number> }[];
  return { ok: true, stack, endpoint, models, proof, resources: last?.resourceChanges ?? {} };
}
