/** A wrong spec through the real engine: refused in words, nothing on the host changed. */
import type { Stack } from "../pulumi/stack.ts";
import { type Box, specFor, teamKey } from "./box.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";
import { mustHold, type Row } from "./rows.ts";
import type { WrongSpec } from "./wrong-specs.ts";

export async function refuse(box: Box, stack: Stack, wrong: WrongSpec): Promise<Row> {
  await using _arranged = (await wrong.arrange?.(box)) ?? nothing;
  const before = wrong.foundBy === "host" ? await fingerprint(box.host) : [];
  await stack.configure(
    specFor(box, (spec) => wrong.change(spec, box)),
    { "team-a": teamKey },
  );
  const outcome = await stack.up();
  const after = wrong.foundBy === "host" ? await fingerprint(box.host) : [];
  const faults = [
    ...(outcome.exitCode === 0 ? ["up did not fail"] : []),
    ...wrong.says.filter((pattern) => !pattern.test(outcome.output)).map((pattern) => `it does not say ${pattern}`),
    ...(/\n\s+at .+:\d+:\d+/.test(outcome.output) ? ["it shows a stack trace"] : []),
    ...difference(before, after).map((line) => `the host changed: ${line}`),
  ];
  const found = faults.length === 0 ? "refused in words" : `${faults.join("; ")}\n${outcome.output.slice(-3000)}`;
  return mustHold(wrong.name, faults.length === 0, found);
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };
