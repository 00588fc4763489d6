/** One run: the planner, one stack, fleets of growing size, and the bars that they are held to. */
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { z } from "zod";
import { mustHold, type Row } from "../e2e/rows.ts";
import { type ModelName, models } from "./fleet.ts";
import { StandInHosts } from "./hosts.ts";
import { costOfOneStack, wordsOf } from "./one-stack.ts";
import { ScaleFleet } from "./scale-fleet.ts";
import type { Usage } from "./usage.ts";

const planned = z.object({ planned: z.number(), seconds: z.number(), megabytes: z.number() });

export interface ScaleOptions {
  readonly folder: string;
  readonly backend: string;
  readonly say: (line: string) => void;
}

export class ScaleRun implements AsyncDisposable {
  readonly #options: ScaleOptions;
  readonly #hosts: StandInHosts;

  private constructor(options: ScaleOptions, hosts: StandInHosts) {
    this.#options = options;
    this.#hosts = hosts;
  }

  static async start(options: ScaleOptions): Promise<ScaleRun> {
    return new ScaleRun(options, await StandInHosts.start(models));
  }

  /** @param changes of one stack's model, of which the one in the middle counts */
  async rows(sizes: readonly number[], changes: number): Promise<Row[]> {
    const { backend, say } = this.#options;
    const one = await costOfOneStack(this.#hosts, backend, changes, say);
    return [
      ...(await plannerRows()),
      atMost("one stack, preview and up: CPU of all processes", one.cpuSeconds, "s", 4),
      atMost("one stack, preview and up: memory", one.peakMegabytes, "MB", 400),
      ...(await this.#rollouts(sizes, one)),
    ];
  }

  /** Each size grows out of the one before it: what is new gets the model that the others have, then the model changes everywhere. */
  async #rollouts(sizes: readonly number[], one: Usage): Promise<Row[]> {
    const { backend, folder, say } = this.#options;
    await using fleet = new ScaleFleet(this.#hosts, folder, backend);
    const rows: Row[] = [];
    let least: number | undefined;
    for (const [index, size] of sizes.entries()) {
      await fleet.grow(size);
      const [now, next] = index % 2 === 0 ? models : models.toReversed();
      const first = await fleet.rollOut(now as ModelName, say);
      say(`${size} hosts: those that were new were brought up: ${wordsOf(first)}`);
      const usage = await fleet.rollOut(next as ModelName, say);
      say(`${size} hosts, another model: ${wordsOf(usage)}`);
      const each = usage.cpuSeconds / size;
      rows.push(
        atMost(`rollout over ${size} hosts: CPU a host`, each, "s", one.cpuSeconds * 1.3),
        atMost(`rollout over ${size} hosts: memory a stack in flight`, usage.peakMegabytes / usage.programs, "MB", 400),
        atMost(`rollout over ${size} hosts: time`, usage.wallSeconds, "s", Math.max(60, size * 9)),
      );
      if (least !== undefined)
        rows.push(atMost(`rollout over ${size} hosts: CPU a host beside ${sizes[0]}`, each / least, "x", 1.1));
      least ??= each;
    }
    return [
      ...rows,
      mustHold("calls that a host did not know", this.#hosts.faults.length === 0, this.#hosts.faults.join("; ")),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hosts[Symbol.asyncDispose]();
  }
}

async function plannerRows(): Promise<Row[]> {
  const { stdout } = await execa(process.execPath, [fileURLToPath(new URL("planner.ts", import.meta.url))]);
  const { planned: hosts, seconds, megabytes } = planned.parse(JSON.parse(stdout));
  const what = `planner, ${hosts} hosts and 20 models`;
  return [atMost(`${what}: time`, seconds, "s", 1), atMost(`${what}: memory`, megabytes, "MB", 200)];
}

const atMost = (name: string, value: number, unit: string, bar: number): Row => ({
  ...{ name, unit, value: Number(value.toFixed(2)), ok: value <= bar },
  bar: `at most ${Number(bar.toFixed(2))} ${unit}`,
});
