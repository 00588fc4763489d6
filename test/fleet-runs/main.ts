/** `npm run fleet -- --scenario NAME --json FILE`: rollouts on three test hosts under the load of six conversations, in `rollout` of six with the real Codex too. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { scenarios } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    times: { type: "string" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const say = (line: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
const width = Math.max(...Object.keys(scenarios).map((name) => name.length));

const help = `Three test hosts with systemd behind a gateway serve a model, in \`rollout\` one of them passes for a Mac; six conversations as Codex has them run on while
\`lmstack fleet rollout\` changes it, in \`rollout\` beside six that people have with the real Codex.

  npm run fleet -- --scenario NAME [--times N] [--seed 1] [--json FILE]

${Object.entries(scenarios)
  .map(([name, { what, times }]) => `  ${name.padEnd(width)}  ${what}${times === 1 ? "" : `; ${times} times`}`)
  .join("\n")}`;

async function main(): Promise<number> {
  const scenario = scenarios[values.scenario ?? ""];
  if (scenario === undefined) {
    console.error(
      `--scenario: found ${values.scenario ?? "none"}; expected one of ${Object.keys(scenarios).join(", ")}`,
    );
    return 2;
  }
  const [times, seed] = [Number(values.times ?? scenario.times), Number(values.seed)];
  if (![times, seed].every((value) => Number.isInteger(value) && value > 0)) {
    console.error("--times and --seed are whole numbers above 0");
    return 2;
  }
  return await report(await scenario.rows({ times, seed, say }), values.json);
}

if (values.help) console.log(help);
else process.exitCode = await main();
