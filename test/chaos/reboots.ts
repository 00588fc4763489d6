/** How long a host takes from its SSH being up to a proved token of every model, reboot after reboot. */
import { setTimeout as delay } from "node:timers/promises";
import type { Row } from "../e2e/rows.ts";
import { proof } from "./look.ts";
import { models, type Place } from "./place.ts";
import { allLoadsSeconds } from "./run.ts";

/** On top of what the models take to load. */
const barSeconds = 15;
/** Then it has failed, and the next reboot is tried. */
const patienceSeconds = 120;

export async function measureReboots(place: Place, times: number, say: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  const bar = barSeconds + allLoadsSeconds;
  for (let time = 1; time <= times; time += 1) {
    const { seconds, unproved } = await rebootOnce(place);
    const ok = unproved.length === 0 && seconds <= bar;
    say(`reboot ${time} of ${times}: ${seconds.toFixed(1)} s ${unproved.join("; ")}`);
    rows.push({
      name: `reboot ${time}: from SSH up to a proved token of every model`,
      value: unproved.length === 0 ? Number(seconds.toFixed(1)) : unproved.join("; "),
      unit: unproved.length === 0 ? "s" : "",
      bar: `<= ${bar} s`,
      ok,
    });
  }
  const good = rows.filter(({ ok }) => ok).length;
  return [...rows, { name: "reboots in time", value: good, unit: "", bar: `${times} of ${times}`, ok: good === times }];
}

async function rebootOnce(place: Place): Promise<{ seconds: number; unproved: string[] }> {
  const { host } = place.box;
  await host.stop();
  const starting = host.start();
  while ((await host.ssh("true", { reject: false })).exitCode !== 0) await delay(100);
  const up = performance.now();
  const elapsed = () => (performance.now() - up) / 1000;
  const unproved = new Map<string, string>(models.map((model) => [model, "not asked"]));
  while (unproved.size > 0 && elapsed() < patienceSeconds) {
    for (const model of [...unproved.keys()]) {
      const why = await proof(place, model);
      if (why === null) unproved.delete(model);
      else unproved.set(model, `${model}: ${why}`);
    }
    if (unproved.size > 0) await delay(100);
  }
  const seconds = elapsed();
  await starting;
  return { seconds, unproved: [...unproved.values()] };
}
