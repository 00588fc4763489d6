/** `npm run hostile -- --seed N --fuzz N --json FILE`: what a client must not be able to do, case by case and by chance. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { runBodyFuzz } from "./fuzz-bodies.ts";
import { runWireFuzz } from "./fuzz-wire.ts";
import { hostileCases, runHostile } from "./hostile-run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    fuzz: { type: "string", default: "200000" },
    only: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** Share of the fuzz that goes over sockets. */
const wireShare = 0.15;

if (values.help) {
  console.log(`Plays ${hostileCases.length} hostile requests on raw sockets against the proxy, with an upstream that takes everything, then feeds it inputs by chance.

  npm run hostile -- [--seed 1] [--fuzz 200000] [--only TEXT] [--json FILE]

--fuzz is the number of inputs, 0 for none; --only takes the cases whose name has TEXT in it, and no fuzz.`);
} else {
  process.exitCode = await main(Number(values.seed), Number(values.fuzz), values.only);
}

async function main(seed: number, fuzz: number, only: string | undefined): Promise<number> {
  if (!(Number.isInteger(seed) && Number.isInteger(fuzz) && fuzz >= 0)) {
    console.error(`--seed and --fuzz are whole numbers, found ${values.seed} and ${values.fuzz}`);
    return 2;
  }
  const cases = only === undefined ? hostileCases : hostileCases.filter(({ name }) => name.includes(only));
  if (cases.length === 0) {
    console.error(
      `no case has ${JSON.stringify(only)} in its name; without --only all ${hostileCases.length} are played`,
    );
    return 2;
  }
  const say = (line: string) => console.error(line);
  const rows = await runHostile(cases, say);
  if (only === undefined && fuzz > 0) {
    const onWire = Math.ceil(fuzz * wireShare);
    rows.push(...(await runBodyFuzz({ inputs: fuzz - onWire, seed, say })));
    rows.push(...(await runWireFuzz({ inputs: onWire, seed, say })));
  }
  return await report(rows, values.json);
}
