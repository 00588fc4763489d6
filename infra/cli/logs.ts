/** `lmstack logs`: the logs of a stack's host, over its one ssh configuration. */
import { execa } from "execa";
import { writeSshFiles } from "../host/ssh-files.ts";
import { stackFolder } from "../host/survey.ts";
import { isRemote } from "../spec/host-spec.ts";
import { CliFault, UsageFault } from "./fault.ts";
import { type LogPart, logScript, sinceMoment } from "./logs-plan.ts";
import { onHost } from "./on-host.ts";
import { specOfStack } from "./stack-spec.ts";

export interface LogsOptions {
  readonly stack?: string;
  readonly follow?: boolean;
  readonly since?: string;
  readonly json?: boolean;
}

export async function logs(part: LogPart, options: LogsOptions): Promise<void> {
  const { follow = false, json } = options;
  if (follow && json)
    throw new UsageFault("--follow has no end, and --json prints one document: leave one of them out");
  const since = options.since === undefined ? {} : { since: sinceMoment(options.since, new Date()) };
  const { stack, spec } = await specOfStack(options.stack);
  if (isRemote(spec.connection)) await writeSshFiles(spec.connection, stackFolder(stack));
  const [program, args] = onHost(spec, stack, logScript(part, spec, stack, { follow, ...since }));
  const shown = await execa(program, args, {
    // An open stdin is what the reader on the host lives by while it follows.
    stdin: follow ? "pipe" : "ignore",
    stdout: json ? "pipe" : "inherit",
    stderr: "inherit",
    reject: false,
    maxBuffer: 2 ** 30,
  });
  if (shown.exitCode !== 0 && !shown.isTerminated)
    throw new CliFault(
      `the log of ${part} could not be shown (${shown.exitCode}); the reason is above. Next: \`npx lmstack doctor\``,
    );
  if (json)
    console.log(
      JSON.stringify({ ok: true, stack, part, lines: (shown.stdout ?? "").split("\n").filter((line) => line !== "") }),
    );
}
