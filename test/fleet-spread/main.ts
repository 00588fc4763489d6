/** `npm run fleet:spread -- --hosts 200 --gigabytes 16 --seed N --json FILE`: how long a model takes to come to a whole site. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { runSpread } from "./run.ts";

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "200" },
    gigabytes: { type: "string", default: "16" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Simulates a file that goes from host to host on links of 10 Gbit/s, by the product's own plan and choice of pieces: undisturbed, with hosts that vanish half-way, with slow ones.

  npm run fleet:spread -- [--hosts 200] [--gigabytes 16] [--seed 1] [--json FILE]`);
} else {
  const [hosts, gigabytes, seed] = [Number(values.hosts), Number(values.gigabytes), Number(values.seed)];
  if (!Number.isInteger(hosts) || hosts < 2 || !(gigabytes > 0) || !Number.isInteger(seed)) {
    console.error("--hosts is a whole number from 2, --gigabytes more than 0, --seed a whole number");
    process.exitCode = 2;
  } else {
    const say = (line: string) => console.error(line);
    process.exitCode = await report(runSpread({ hosts, gigabytes, seed, say }), values.json);
  }
}
