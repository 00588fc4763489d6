import { runPulumi } from "./pulumi.ts";

export async function up(args: readonly string[]): Promise<void> {
  process.exitCode = await runPulumi(["up", ...args]);
}
