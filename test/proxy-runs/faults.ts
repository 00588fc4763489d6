/** `npm run faults -- --requests N --seed N --json FILE`: every client gets an end that it can read, whatever becomes of LM Studio. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { faultKinds } from "./fault-kinds.ts";
import { runFaults } from "./fault-run.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const names = faultKinds.map((kind) => kind.name);

if (values.help) {
  console.log(`Sends requests of every dialect through the proxy to an upstream that fails, kind by kind, and counts what each client gets and what
the proxy's process has left behind afterwards.

  npm run faults -- [--requests 10000] [--seed 1] [--only ${names.join("|")}] [--json FILE]`);
} else {
  process.exitCode = await main(Number(values.requests), Number(values.seed), values.only);
}

async function main(requests: number, seed: number, only: string | undefined): Promise<number> {
  if (!(Number.isInteger(requests) && requests > 0 && Number.isInteger(seed))) {
    console.error(`--requests and --seed are whole numbers, found ${values.requests} and ${values.seed}`);
    return 2;
  }
  const kinds = only === undefined ? faultKinds : faultKinds.filter((kind) => kind.name === only);
  if (kinds.length === 0) {
    console.error(`--only is one of ${names.join(", ")}; found ${only}`);
    return 2;
  }
  return await report(await runFaults({ kinds, requests, seed, say: (line) => console.error(line) }), values.json);
}
