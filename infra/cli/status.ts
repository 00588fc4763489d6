/** `lmstack status`: what a stack's host runs and what drifted, without changing anything. */
import type { HostFacts } from "../host/facts.ts";
import { driftLines, surveyHost } from "../host/survey.ts";
import { keysFingerprint } from "../proxy/keys.ts";
import { exitCodes } from "./fault.ts";
import { progress } from "./progress.ts";
import { askPulumi } from "./pulumi.ts";
import { specOfStack } from "./stack-spec.ts";
import { reportLines, reportOf } from "./status-report.ts";

export async function status(options: { readonly stack?: string; readonly json?: boolean }): Promise<void> {
  const { stack, spec, keys } = await specOfStack(options.stack);
  // Keys are part of what the proxy serves; they are compared, never shown.
  const looking = surveyHost(spec, stack, keysFingerprint(keys, stack), async () => null);
  const [{ facts, judgements }, outputs] = await progress(
    "looking at the host",
    Promise.all([looking, askPulumi(["stack", "output", "--json"], stack)]),
  );
  const { proof = null } = JSON.parse(outputs) as { proof?: string | null };
  const report = reportOf(spec, stack, facts as HostFacts, driftLines(judgements), proof);
  if (options.json) console.log(JSON.stringify(report));
  else for (const line of reportLines(report)) console.log(line);
  if (!report.ready) process.exitCode = exitCodes.unhealthy;
}
