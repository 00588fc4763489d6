// one rollout over N hosts, then a second one profiled
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { models } from "./fleet.ts";
import { StandInHosts } from "./hosts.ts";
import { costOfOneStack, wordsOf } from "./one-stack.ts";
import { ScaleFleet } from "./scale-fleet.ts";

const n = Number(process.argv[2]),
  times = Number(process.argv[3] ?? 1);
await using hosts = await StandInHosts.start(models);
const folder = await mkdtemp(join(tmpdir(), "v-"));
const backend = pathToFileURL(folder).href;
if (process.argv[4]) await costOfOneStack(hosts, backend, Number(process.argv[4]), console.log);
await using fleet = new ScaleFleet(hosts, folder, backend);
await fleet.grow(n);
await fleet.rollOut(models[0], () => {});
for (let i = 0; i < times; i++) {
  const u = await fleet.rollOut(models[(i + 1) % 2]!, () => {});
  console.log(n, "hosts", (u.cpuSeconds / n).toFixed(2), "each;", wordsOf(u), u.programs);
}
