/** `pulumi up` killed at a moment of its run, then at once `pulumi cancel` and `up`: what must be true of the host afterwards. */
import { setTimeout as delay } from "node:timers/promises";
import { changedSteps, type Stack } from "../pulumi/stack.ts";
import type { Box } from "./box.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";
import { kill, seeded, type Victims } from "./killing.ts";
import { mustHold, type Row } from "./rows.ts";

export interface Moment {
  /** Part of a whole run's duration, 0 to 1. */
  readonly at: number;
  readonly victims: Victims;
}

/** Spread over the whole run: one in each equal part of it, half of them with everything killed. */
export function moments(count: number, seed: number): readonly Moment[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, index) => ({
    at: (index + random()) / count,
    victims: index % 2 === 0 ? "cli" : "all",
  }));
}

/** The faults of a host after an interrupted and a repeated `up`; none is the promise. */
export async function faultsOf({ host, models: declared }: Box, stack: string): Promise<readonly string[]> {
  const faults: string[] = [];
  const run = async (command: string) => (await host.exec(command, { reject: false })).stdout.trim();
  const daemons = await run("pgrep -xc llmster || true");
  if (daemons !== "1") faults.push(`${daemons} daemons run`);
  const models = JSON.parse((await run("curl -s http://127.0.0.1:8081/api/v1/models")) || "{}") as {
    models?: { loaded_instances?: { id: string }[] }[];
  };
  const instances = (models.models ?? [])
    .flatMap(({ loaded_instances }) => (loaded_instances ?? []).map(({ id }) => id))
    .sort();
  const expected = declared.map(({ id }) => id).sort();
  if (instances.join() !== expected.join()) faults.push(`loaded instances are: ${instances.join(", ") || "none"}`);
  const containers = (await run(`docker ps -aq --filter label=dev.lmstack.stack=${stack}`)).split("\n").filter(Boolean);
  if (containers.length !== 1) faults.push(`${containers.length} proxy containers exist`);
  const leftovers = await run(
    "find ~/.lmstack ~/.lmstudio /models \\( -name '*.part' -o -name '*.partial' -o -name '*.tmp' -o -name '*.staging*' \\) -not -path '*/.bundle/*' | head",
  );
  if (leftovers !== "") faults.push(`half-written files: ${leftovers.replaceAll("\n", ", ")}`);
  const overlaps = overlapping(await run("cat ~/.lmstack/logs/changes.log"));
  if (overlaps !== "") faults.push(`two changes at once: ${overlaps}`);
  return faults;
}

/**
 * hostctl writes a line when it begins and ends to change the host. A killed one leaves no end, the kernel frees its lock, and the next may begin;
 * but whoever ends must be the one that began last.
 */
export function overlapping(log: string): string {
  let running = "";
  for (const line of log.split("\n")) {
    const [, event, pid = "", what = ""] = /^\S+ (begin|end) (\d+) (.*)$/.exec(line) ?? [];
    if (event === "begin") running = pid;
    if (event !== "end") continue;
    if (running !== pid) return `${pid} ${what} ended while ${running || "nobody"} had begun`;
    running = "";
  }
  return "";
}

export interface InterruptionOptions {
  readonly box: Box;
  readonly stack: Stack;
  readonly moment: Moment;
  /** Seconds that a whole `up` takes here. */
  readonly wholeSeconds: number;
  /** The host before anything was deployed. */
  readonly found: readonly string[];
  readonly say: (line: string) => void;
}

/** From nothing: starts `up`, kills it at the moment, cancels, runs `up` again, looks at the host, and takes everything down. */
export async function interruptOnce({
  box,
  stack,
  moment,
  wholeSeconds,
  found,
  say,
}: InterruptionOptions): Promise<Row> {
  const { after, endedFirst } = await killAfter(stack, moment, wholeSeconds);
  const name = `killed after ${after.toFixed(1)} s (${moment.victims === "cli" ? "the CLI alone" : "CLI, language host and plugins"})`;
  await stack.cancel();
  const second = await stack.up();
  const faults = [...(await faultsOf(box, stack.name))];
  if (endedFirst) faults.push("the up had ended before it was killed");
  if (second.exitCode !== 0) faults.unshift(`the second up failed: ${lastLines(second.output, 12)}`);
  const third = await stack.preview();
  const changes = changedSteps(third).map((step) => `${step.op} ${step.name}`);
  if (third.exitCode !== 0 || changes.length > 0)
    faults.push(`the third is not empty: ${changes.join(", ") || lastLines(third.output, 6)}`);
  const down = await stack.destroy();
  if (down.exitCode !== 0) faults.push(`destroy failed: ${lastLines(down.output, 6)}`);
  faults.push(...difference(found, await fingerprint(box.host)).map((line) => `left after destroy: ${line}`));
  say(`${name}: ${faults.length === 0 ? "converged" : faults.join("; ")}`);
  return mustHold(
    `${name}, then cancel and up`,
    faults.length === 0,
    faults.length === 0 ? "converged" : faults.join("; "),
  );
}

/** A machine that was busy when the whole run was measured may be done before the moment comes: then an earlier one has to do. */
async function killAfter(stack: Stack, { at, victims }: Moment, wholeSeconds: number) {
  for (const share of [1, 0.6, 0.3]) {
    const after = at * wholeSeconds * share;
    const running = stack.startUp();
    const endedFirst = await Promise.race([running.then(() => true), delay(after * 1000, false)]);
    if (!endedFirst && running.pid !== undefined) await kill(running.pid, victims);
    await running;
    if (!endedFirst) return { after, endedFirst };
    await stack.destroy();
  }
  return { after: at * wholeSeconds, endedFirst: true };
}

const lastLines = (text: string, count: number) => text.trim().split("\n").slice(-count).join(" | ");
