/** `npm run swap -- --swaps N --seed N --json FILE`: a model changes under load, and no request is lost. */
import { parseArgs } from "node:util";
import { openPlace } from "../chaos/place.ts";
import { report } from "../e2e/rows.ts";
import { Random } from "../proxy-runs/random.ts";
import { changes } from "./changes.ts";
import { SwapRun } from "./swap-run.ts";

const { values } = parseArgs({
  options: {
    swaps: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Changes a model's context, slots or file by \`up\` on a test host, half of the times beside the old one and half in its place, while four
clients stream from it without a pause. Every fifth change fails and has to come back by itself.

  npm run swap -- [--swaps 30] [--seed 1] [--json FILE]`);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const [swaps, seed] = [values.swaps, values.seed].map(Number) as [number, number];
  if (![swaps, seed].every((value) => Number.isInteger(value) && value > 0)) {
    console.error("--swaps and --seed are whole numbers above 0");
    return 2;
  }
  const say = (line: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
  await using place = await openPlace("swap", say);
  await using run = await SwapRun.on(place, say);
  const planned = changes(swaps, new Random(seed));
  for (const [index, change] of planned.entries()) {
    say(`change ${index + 1} of ${planned.length}: ${change.words}`);
    await run.change(change);
  }
  return await report(await run.rows(planned), values.json);
}
