/** `npm run chaos -- --faults N --seed N --json FILE`: whatever strikes a host, it comes to the right end by itself or by the next `up`. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { measureIdle } from "./idle.ts";
import { kinds } from "./kinds.ts";
import { steadyLoad } from "./load.ts";
import { models, openPlace, type Place } from "./place.ts";
import { measureReboots } from "./reboots.ts";
import { Chaos } from "./run.ts";
import { sequence } from "./sequence.ts";

const { values } = parseArgs({
  options: {
    faults: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    times: { type: "string" },
    idle: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const help = `Deploys to a test host, keeps its proxy under a steady load, and lets seeded faults strike it, one after the other (docs/chaos.md). After each
the host has to come to the right end state, no answer may be wrong, and the second \`up\` after it has to be empty.

  npm run chaos -- [--faults 100] [--seed 1] [--only KIND,KIND] [--json FILE]
  npm run chaos -- --idle 60                     what the supervisor costs in so many seconds without any fault
  npm run chaos -- --only reboot --times 20      how long a host takes from SSH up to the first proved token of every model

KIND is one of ${kinds.map(({ name }) => name).join(", ")}.`;

const say = (line: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);

async function main(): Promise<number> {
  const only = values.only?.split(",");
  const unknown = only?.find((name) => !kinds.some((kind) => kind.name === name));
  const [faults, seed, times, idle] = [values.faults, values.seed, values.times ?? "1", values.idle ?? "1"].map(
    Number,
  ) as [number, number, number, number];
  if (unknown !== undefined || ![faults, seed, times, idle].every((value) => Number.isInteger(value) && value > 0)) {
    console.error(
      unknown === undefined
        ? "--faults, --seed, --times and --idle are whole numbers above 0"
        : `--only: there is no ${unknown}`,
    );
    return 2;
  }
  if (values.times !== undefined && values.only !== "reboot") {
    console.error("--times goes with --only reboot; how many faults of other kinds strike is said by --faults");
    return 2;
  }
  await using place = await openPlace("chaos", say);
  if (values.idle !== undefined) return await report(await measureIdle(place, idle, say), values.json);
  if (values.times !== undefined) return await report(await measureReboots(place, times, say), values.json);
  const wanted = kinds.filter(({ name }) => only?.includes(name) ?? true);
  return await report(await chaos(place, sequence(wanted, faults, seed)), values.json);
}

async function chaos(place: Place, planned: ReturnType<typeof sequence<(typeof kinds)[number]>>) {
  const load = steadyLoad(place, models);
  try {
    const chaos = new Chaos({ place, load, ups: true, say });
    const rows = [];
    for (const [index, fault] of planned.entries()) {
      say(`fault ${index + 1} of ${planned.length}`);
      rows.push(await chaos.survive(fault));
    }
    const survived = rows.filter(({ ok }) => ok).length;
    const bar = `${planned.length} of ${planned.length}`;
    return [
      ...rows,
      { name: "faults survived", value: survived, unit: "", bar, ok: survived === planned.length },
      { name: "requests that ended", value: chaos.answered, unit: "", bar: "> 0", ok: chaos.answered > 0 },
    ];
  } finally {
    await load.stop();
  }
}

if (values.help) console.log(help);
else process.exitCode = await main();
