/** `npm run fleet:scale -- --hosts N --json FILE`: what a rollout costs for each host, and that it costs the same with many of them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { ScaleRun } from "./scale-run.ts";

/** Of one stack's model. Odd, so that there is one in the middle. */
const changes = 3;

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "25" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Plans for a thousand hosts; measures preview and up of one stack with every process they start; then changes the model of N hosts by a
rollout and measures that. The engine, its plugins and the runner are the real ones, the hosts are stood in for at hostctl's JSON.

  npm run fleet:scale -- [--hosts 25] [--json FILE]       several sizes one after the other: --hosts 25,50,100`);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const sizes = values.hosts.split(",").map(Number);
  if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
    console.error(`--hosts: found ${values.hosts}; expected whole numbers above 0, such as 25 or 25,50,100`);
    return 2;
  }
  const say = (line: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
  const folder = await mkdtemp(join(tmpdir(), "fleet-scale-"));
  try {
    const backend = pathToFileURL(folder).href;
    await using run = await ScaleRun.start({ folder, backend, say });
    return await report(await run.rows(sizes, changes), values.json);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
