/** `npm run upgrades -- --times N --seed N --json FILE`: a broken version of LM Studio is taken back by itself, and so is one whose upgrade is killed. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { Random } from "../proxy-runs/random.ts";
import { type Breakage, breakages } from "./broken-version.ts";
import { brokenRow, killedRow, victims } from "./upgrade-run.ts";

const { values } = parseArgs({
  options: {
    times: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Tries a broken version of LM Studio's stand-in, N times for each way of being broken, and kills a good upgrade at N seeded moments.

  npm run upgrades -- [--times 10] [--seed 1] [--json FILE]`);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const [times, seed] = [values.times, values.seed].map(Number) as [number, number];
  if (![times, seed].every((value) => Number.isInteger(value) && value > 0)) {
    console.error("--times and --seed are whole numbers above 0");
    return 2;
  }
  const say = (line: string) => console.error(line);
  const rows = [];
  for (const kind of Object.keys(breakages) as Breakage[]) rows.push(await brokenRow(kind, times, say));
  const random = new Random(seed);
  for (const victim of victims) rows.push(await killedRow(victim, times, random, say));
  return await report(rows, values.json);
}
