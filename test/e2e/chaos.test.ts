/** The short forms of `npm run chaos`, faults that are over within seconds in seeded order, and of `npm run swap`. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../chaos/kinds.ts";
import { type SteadyLoad, steadyLoad } from "../chaos/load.ts";
import { models, openPlace, type Place } from "../chaos/place.ts";
import { Chaos } from "../chaos/run.ts";
import { sequence } from "../chaos/sequence.ts";
import { Random } from "../proxy-runs/random.ts";
import { changes } from "../swap-runs/changes.ts";
import { SwapRun } from "../swap-runs/swap-run.ts";

let place: Place;
let load: SteadyLoad;
let chaos: Chaos;
const say = (line: string) => console.log(`   ${line}`);

beforeAll(async () => {
  place = await openPlace("struck", say);
  load = steadyLoad(place, models);
  chaos = new Chaos({ place, load, ups: false, say });
});

afterAll(async () => {
  await load?.stop();
  await place?.[Symbol.asyncDispose]();
});

// A supervisor and a proxy that are killed: test/unit/hostctl/host-life.test.ts and native-proxy.test.ts.
const quick = kinds.filter(({ quick, ending }) => quick && ending === "healed");
const gone = kinds.filter(({ name }) => name === "model-deleted");
const planned = [...sequence(quick, 3, 38), ...sequence(gone, 1, 6)];

describe("a host under load comes to its right end by itself", () => {
  test.each(planned.map((fault) => ({ ...fault, words: fault.kind.happens })))("after $words", async (fault) => {
    const row = await chaos.survive(fault);
    expect(row, String(row.value)).toMatchObject({ ok: true });
  });

  test("and the second up after all of it is empty", async () => {
    const row = await chaos.settle();
    expect(row, String(row.value)).toMatchObject({ ok: true });
    expect(chaos.answered).toBeGreaterThan(10);
  });
});

test("a model changes under load, beside the one that serves and in its place, and no request is lost", async () => {
  await load.stop();
  await using run = await SwapRun.on(place, say);
  const planned = changes(2, new Random(1));
  for (const change of planned) await run.change(change);
  // How long is for the long run to say.
  const rows = (await run.rows(planned)).filter(({ unit }) => unit !== "ms");
  for (const row of rows) expect(row, row.name).toMatchObject({ ok: true });
});
