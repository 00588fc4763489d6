/** `npm run codex -- --only NAME --faults --json FILE`: the real Codex does ten things through the proxy, and does them when LM Studio fails. */
import { parseArgs } from "node:util";
import { SetupError } from "../../infra/setup/report.mjs";
import { type Row, report } from "../e2e/rows.ts";
import { ensureTmux } from "../tools.ts";
import { faults } from "./faults.ts";
import { type Play, playRow } from "./run.ts";
import { scenarios } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    faults: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Lets the real Codex CLI work through the proxy, in front of LM Studio's stand-in at its strictest, and looks at what is on the disk afterwards.

  npm run codex -- [--only NAME] [--faults] [--json FILE]

  --only NAME   one scenario, or one with a fault ("shell with killed"); a fault's name alone is all scenarios with it
  --faults      all scenarios with each fault too, four at a time: takes about ten minutes

Scenarios:
${scenarios.map(({ name, what }) => `  ${name.padEnd(14)} ${what}`).join("\n")}
Faults:
${faults.map(({ name, what }) => `  ${name.padEnd(14)} ${what}`).join("\n")}`);
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  try {
    await ensureTmux();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`${error.message} ${error.next}`);
    return 1;
  }
  const sizes = { loadSeconds: 60, awaySeconds: 20 };
  const plain: Play[] = scenarios.map((scenario) => ({ scenario, sizes, seconds: 120 }));
  const faulty: Play[] = faults.flatMap((fault) =>
    scenarios.map((scenario) => ({ scenario, fault, sizes, seconds: 300 })),
  );
  const { only } = values;
  const names = ({ scenario, fault }: Play) =>
    fault === undefined ? [scenario.name] : [`${scenario.name} with ${fault.name}`, fault.name];
  const chosen =
    only === undefined
      ? [...plain, ...(values.faults ? faulty : [])]
      : [...plain, ...faulty].filter((play) => names(play).includes(only));
  if (chosen.length === 0) {
    console.error(`--only names none of these: ${[...scenarios, ...faults].map(({ name }) => name).join(", ")}`);
    return 2;
  }
  return await report(await playAll(chosen), values.json);
}

/** Several at a time where most of it is waiting; rows in the order of `plays`. */
async function playAll(plays: readonly Play[]): Promise<Row[]> {
  const rows: Row[] = [];
  const waiting = [...plays.entries()];
  const started = performance.now();
  const heartbeat = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1_000);
    console.error(`… ${Object.keys(rows).length} of ${plays.length} after ${seconds} s`);
  }, 20_000);
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, play] = next;
      const row = await playRow(play);
      console.error(`${row.ok ? "ok" : "NO"} ${row.name}: ${row.value} ${row.unit}`);
      rows[index] = row;
    }
  };
  await Promise.all(Array.from({ length: plays.some(({ fault }) => fault) ? 4 : 1 }, lane));
  clearInterval(heartbeat);
  return rows;
}
