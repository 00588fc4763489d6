/** A wrong spec through the real engine: refused in words, nothing on the host changed. */
import type { Outcome, Stack } from "../pulumi/stack.ts";
import { type Box, specFor, teamKey } from "./box.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";
import { mustHold, type Row } from "./rows.ts";
import type { WrongSpec } from "./wrong-specs.ts";

/** Gives a host one wrong spec after the other. Each is held against the host as the one before left it, so that one look a spec is enough. */
export class Refusals {
  private readonly box: Box;
  private readonly stack: Stack;
  private before: readonly string[] | undefined;

  constructor(box: Box, stack: Stack) {
    this.box = box;
    this.stack = stack;
  }

  async refuse(wrong: WrongSpec): Promise<Row> {
    const { box } = this;
    this.before ??= await fingerprint(box.host);
    const outcome = await this.tryUp(wrong);
    const after = wrong.foundBy === "host" ? await fingerprint(box.host) : this.before;
    const faults = [
      ...(outcome.exitCode === 0 ? ["up did not fail"] : []),
      ...wrong.says.filter((pattern) => !pattern.test(outcome.output)).map((pattern) => `it does not say ${pattern}`),
      ...(/\n\s+at .+:\d+:\d+/.test(outcome.output) ? ["it shows a stack trace"] : []),
      ...difference(this.before, after).map((line) => `the host changed: ${line}`),
    ];
    this.before = after;
    const found = faults.length === 0 ? "refused in words" : `${faults.join("; ")}\n${outcome.output.slice(-3000)}`;
    return mustHold(wrong.name, faults.length === 0, found);
  }

  private async tryUp(wrong: WrongSpec): Promise<Outcome> {
    const { box, stack } = this;
    await using _arranged = (await wrong.arrange?.(box)) ?? nothing;
    await stack.configure(
      specFor(box, (spec) => wrong.change(spec, box)),
      { "team-a": teamKey },
    );
    return await stack.up();
  }
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };
