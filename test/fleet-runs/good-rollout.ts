/** Model A becomes model B by canary and waves, and nobody notices. */
import { join } from "node:path";
import { mustHold, type Row } from "../e2e/rows.ts";
import { CodexUsers } from "./codex-users.ts";
import { Conversations } from "./conversations.ts";
import { wordsOf } from "./fleet-command.ts";
import { openPlace, type Place } from "./place.ts";
import { codexRows, conversations, faultsAfter, loadRows, planFaults, rollout } from "./rollout.ts";
import type { Options, Scenario } from "./scenario.ts";

export const goodRollout: Scenario = {
  what: "model A becomes B by canary and waves",
  times: 1,
  rows: async ({ times, say }) => {
    await using place = await openPlace("rollout", { say, mac: true });
    const rows: Row[] = [];
    for (let time = 1; time <= times; time += 1) rows.push(...(await goodRows(place, say)));
    return rows;
  },
};

export async function goodRows(place: Place, say: Options["say"]): Promise<Row[]> {
  const before = await place.copies("B");
  await using users = await CodexUsers.open(conversations, join(place.folder, "codex"), place.installCodex);
  await using load = new Conversations(conversations, () => place.baseUrl, place.key);
  const began = Date.now();
  const ended = await rollout(place, { model: "B" }, say);
  const over = Date.now();
  const faults = await faultsAfter(place, "B");
  await Promise.all([load.stop(), users.stop()]);
  faults.push(...(await planFaults(place)));
  if (ended.exitCode !== 0) faults.unshift(`it ended with ${ended.exitCode}: ${wordsOf(ended)}`);
  const declared = [
    { model: "A", from: 0, to: over },
    { model: "B", from: began, to: Number.MAX_SAFE_INTEGER },
  ] as const;
  return [
    mustHold(
      "model A became B on every host, and nothing is left to do",
      faults.length === 0,
      faults.join("; ") || "holds",
    ),
    ...codexRows(users.take(), declared),
    ...loadRows(load.take(), declared),
    ...(await hostRows(place)),
    await originRow(place, before),
    { name: "wall time of the rollout", value: Number(ended.seconds.toFixed(1)), unit: "s", bar: "told", ok: true },
  ];
}

/** What each host took, out of the gateway and back in, by the journal. */
async function hostRows({ fleet, inventory }: Place): Promise<Row[]> {
  const { stdout } = await fleet.must(["fleet", "status", "--json", ...inventory]);
  const { rollout } = JSON.parse(stdout) as { rollout: { hosts: Record<string, { wave: number; seconds: number }> } };
  return Object.entries(rollout.hosts).map(([name, { wave, seconds }]) => ({
    name: `${name}, wave ${wave}`,
    ...{ value: Number(seconds.toFixed(1)), unit: "s", bar: "told", ok: true },
  }));
}

async function originRow(place: Place, before: number): Promise<Row> {
  const value = Number(((await place.copies("B")) - before).toFixed(2));
  return {
    name: "model B came from where it is published",
    value,
    unit: "times",
    bar: "at most 1.2",
    ok: value <= 1.2,
  };
}
