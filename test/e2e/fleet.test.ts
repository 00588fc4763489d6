/** The short form of `npm run fleet`: two hosts behind a gateway, under the load of six conversations. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { tryBad } from "../fleet-runs/bad-model.ts";
import { killOnce } from "../fleet-runs/killed-runner.ts";
import { openPlace, type Place } from "../fleet-runs/place.ts";
import { secretRows } from "../fleet-runs/secrets.ts";

let place: Place;
const say = (line: string) => console.log(`   ${line}`);

beforeAll(async () => {
  place = await openPlace("few", { say, hosts: 2, mac: false });
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

test("a model that thinks is stopped at the canary and taken back by itself, and nobody notices", async () => {
  expect(await tryBad(place, "thinks", say)).toEqual([]);
});

test("a rollout whose runner is killed goes on with --resume, and no request is lost", async () => {
  const inItsChange = { at: "few-one: updating", victims: "all" } as const;
  expect(await killOnce(place, "B", inItsChange, { whole: 0, gone: false, say })).toEqual([]);
});

test("the hosts' key is nowhere in state, journal, inventory, output and logs", async () => {
  for (const row of await secretRows(place)) expect(row, row.name).toMatchObject({ ok: true });
});
