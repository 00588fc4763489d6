/** `npm run interrupt -- --moments N --seed N --json FILE`: the long form of the interruption promise. */
import { parseArgs } from "node:util";
import { openStack, startBox } from "./box.ts";
import { fingerprint } from "./host-fingerprint.ts";
import { interruptOnce, moments } from "./interruption.ts";
import { type Row, report } from "./rows.ts";

const { values } = parseArgs({
  options: {
    moments: { type: "string", default: "12" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(`Kills \`pulumi up\` at seeded moments spread over its run (half of the time the CLI alone, half with its language host and plugins),
then runs \`pulumi cancel\` and \`up\` at once, and looks at the host.

  npm run interrupt -- [--moments 12] [--seed 1] [--json FILE]`);
} else {
  process.exitCode = await main(Number(values.moments), Number(values.seed), values.json);
}

async function main(count: number, seed: number, json: string | undefined): Promise<number> {
  if (!(Number.isInteger(count) && count > 0 && Number.isInteger(seed))) {
    console.error(`--moments and --seed are whole numbers, found ${values.moments} and ${values.seed}`);
    return 2;
  }
  const say = (line: string) => console.error(line);
  const box = await startBox({ name: "interrupt", onProgress: say });
  const stack = await openStack("e2e-interrupt", box);
  try {
    const found = await fingerprint(box.host);
    const whole = await stack.up();
    if (whole.exitCode !== 0) throw new Error(`The uninterrupted up failed:\n${whole.output}`);
    say(`a whole up takes ${whole.seconds.toFixed(1)} s`);
    await stack.destroy();
    const rows: Row[] = [];
    for (const moment of moments(count, seed)) {
      rows.push(await interruptOnce({ box, stack, moment, wholeSeconds: whole.seconds, found, say }));
    }
    return await report(rows, json);
  } finally {
    await stack.forget();
    await box.host.remove();
  }
}
