/** What it costs to bring one model in another's place on one host: `preview` and `up` of its stack, as one runs them by hand. */
import { changedSteps, failedWords, type Outcome, Stack } from "../pulumi/stack.ts";
import { type ModelName, models, specOf } from "./fleet.ts";
import type { StandInHosts } from "./hosts.ts";
import { measured, type Usage } from "./usage.ts";

/**
 * @param backend address of a state that nobody else uses
 * @param changes of the model, of which the one in the middle counts
 */
export async function costOfOneStack(
  hosts: StandInHosts,
  backend: string,
  changes: number,
  say: (line: string) => void,
): Promise<Usage> {
  const place = await hosts.add("e2e-scale-one");
  const stack = await Stack.open({ name: place.name, spec: specOf(place, models[0]), env: hosts.env, backend });
  try {
    // The first one brings everything, and fills what is kept for later runs.
    well(await stack.up());
    const usages: Usage[] = [];
    for (let change = 0; change < changes; change++) {
      const model = models[(change + 1) % models.length] as ModelName;
      await stack.configure(specOf(place, model));
      const [steps, usage] = await measured(async () => {
        well(await stack.preview());
        return changedSteps(well(await stack.up())).length;
      });
      if (hosts.loadedOn(place).join() !== model) throw new Error(`${place.name} has ${hosts.loadedOn(place)}`);
      say(`one stack, ${steps} changes: ${wordsOf(usage)}`);
      usages.push(usage);
    }
    return usages.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[Math.floor(changes / 2)] as Usage;
  } finally {
    await stack.forget();
  }
}

export const wordsOf = ({ cpuSeconds, peakMegabytes, wallSeconds }: Usage): string =>
  `${cpuSeconds.toFixed(2)} CPU-s, ${peakMegabytes} MB, ${wallSeconds.toFixed(1)} s`;

function well(outcome: Outcome): Outcome {
  if (outcome.exitCode !== 0) throw new Error(failedWords(outcome));
  return outcome;
}
