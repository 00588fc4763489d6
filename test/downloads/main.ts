/** `npm run downloads -- --cuts 50 --megabytes 1024 --seed N --json FILE`: a large file over a network that breaks again and again. */
import { parseArgs } from "node:util";
import { report } from "../e2e/rows.ts";
import { runDownloads } from "./run.ts";

const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "50" },
    megabytes: { type: "string", default: "1024" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** A gigabit. */
const linkBytesPerSecond = 125e6;

if (values.help) {
  console.log(`Fetches a file over a network that cuts, stalls, overloads and lies at seeded places, then with wrong bytes, then beside curl on a link of 1 Gbit/s, then from three slow peers beside one.

  npm run downloads -- [--cuts 50] [--megabytes 1024] [--seed 1] [--json FILE]

The bad network is a server that misbehaves on loopback. It needs about three times --megabytes of disk below the temporary folder.`);
} else {
  const [cuts, megabytes, seed] = [Number(values.cuts), Number(values.megabytes), Number(values.seed)];
  if (![cuts, megabytes, seed].every((number) => Number.isInteger(number) && number >= 0) || megabytes === 0) {
    console.error("--cuts, --megabytes and --seed are whole numbers, --megabytes at least 1");
    process.exitCode = 2;
  } else {
    const say = (line: string) => console.error(line);
    process.exitCode = await report(
      await runDownloads({ cuts, megabytes, seed, linkBytesPerSecond, say }),
      values.json,
    );
  }
}
