/** The runner of a rollout is killed, or the machine that it runs on goes away, and somebody calls `--resume`. */
import { setTimeout as delay } from "node:timers/promises";
import { type Moment, moments } from "../e2e/interruption.ts";
import { kill } from "../e2e/killing.ts";
import type { Row } from "../e2e/rows.ts";
import { Conversations } from "./conversations.ts";
import { wordsOf } from "./fleet-command.ts";
import { summed, wrongWith } from "./judge.ts";
import type { ModelName } from "./models.ts";
import { openPlace, type Place } from "./place.ts";
import { conversations, faultsAfter, planFaults, rollout } from "./rollout.ts";
import type { Scenario } from "./scenario.ts";

const scenario = (gone: boolean, what: string, times: number): Scenario => ({
  what,
  times,
  rows: async ({ times, seed, say }) => {
    await using place = await openPlace(gone ? "machine-gone" : "killed-runner", { say, mac: false });
    const whole = await rollout(place, { model: "B" }, say);
    if (whole.exitCode !== 0) throw new Error(`the rollout that nobody kills failed:\n${wordsOf(whole)}`);
    say(`a whole rollout takes ${whole.seconds.toFixed(1)} s`);
    let now: ModelName = "B";
    const wrong: string[] = [];
    let right = 0;
    for (const [index, moment] of moments(times, seed).entries()) {
      now = now === "B" ? "A" : "B";
      const victims = gone ? "all" : moment.victims;
      const faults = await killOnce(place, now, { ...moment, victims }, { whole: whole.seconds, gone, say });
      say(`${index + 1} of ${times}: ${faults.join("; ") || "resumed"}`);
      if (faults.length === 0) right += 1;
      wrong.push(...faults);
    }
    const value = wrong.length === 0 ? right : `${right}: ${summed(wrong)}`;
    const row: Row = {
      name: `${what}: resumed, right on every host`,
      value,
      unit: "",
      bar: `${times} of ${times}`,
      ok: right === times,
    };
    return [row];
  },
});

export const killedRunner = scenario(false, "the runner is killed, alone or with all that it started", 20);
export const machineGone = scenario(true, "the runner's machine goes away, and another one goes on", 5);

interface Kill {
  /** Seconds of a whole rollout. */
  readonly whole: number;
  /** Resumed on another machine. */
  readonly gone: boolean;
  readonly say: (line: string) => void;
}

/**
 * @param moment `at` is part of a whole rollout, or what the runner has to have said
 * @returns what was not as promised
 */
export async function killOnce(
  place: Place,
  to: ModelName,
  { at, victims }: Omit<Moment, "at"> & { readonly at: number | string },
  { whole, gone, say }: Kill,
): Promise<string[]> {
  const { fleet, inventory } = place;
  const from: ModelName = to === "B" ? "A" : "B";
  await using load = new Conversations(conversations, () => place.baseUrl, place.key);
  await place.declare({ model: to });
  fleet.machine = undefined;
  const heard = Promise.withResolvers<undefined>();
  const began = performance.now();
  const { child, ended } = fleet.start(["fleet", "rollout", ...inventory], (line) => {
    say(line);
    if (typeof at === "string" && line.includes(at)) heard.resolve(undefined);
  });
  const due = typeof at === "string" ? heard.promise : delay(at * whole * 1000, undefined);
  const first = await Promise.race([ended, due]);
  if (first === undefined && child.pid !== undefined) await kill(child.pid, victims);
  const after = ((performance.now() - began) / 1000).toFixed(1);
  say(`killed after ${after} s (${victims === "cli" ? "the runner alone" : "with all that it started"})`);
  await ended;
  if (gone) fleet.machine = "another-machine";
  let resumed = await fleet.run(["fleet", "rollout", "--resume", ...inventory], say);
  // Killed before anything was begun, or when all was done: then that is what it says, and what it says to do next is right.
  if (wordsOf(resumed).includes("there is no rollout to resume"))
    resumed = await fleet.run(["fleet", "rollout", ...inventory], say);
  const faults = await faultsAfter(place, to);
  if (resumed.exitCode !== 0) faults.unshift(`--resume ended with ${resumed.exitCode}: ${wordsOf(resumed)}`);
  faults.push(...(await planFaults(place)));
  fleet.machine = undefined;
  await load.stop();
  const declared = [from, to].map((model) => ({ model, from: 0, to: Number.MAX_SAFE_INTEGER }));
  return [...faults, ...load.take().flatMap((turn) => wrongWith(turn, declared) ?? [])];
}
