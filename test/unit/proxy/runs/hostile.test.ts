import { expect, it } from "vitest";
import { bodyCases } from "../../../proxy-runs/hostile-bodies.ts";
import { framingCases } from "../../../proxy-runs/hostile-framing.ts";
import { headCases } from "../../../proxy-runs/hostile-heads.ts";
import { runHostile } from "../../../proxy-runs/hostile-run.ts";
import { targetCases } from "../../../proxy-runs/hostile-targets.ts";

it.concurrent.each([
  { what: "a request whose end could be seen in two places", cases: framingCases },
  { what: "a head that is none, too large, or means something else", cases: headCases },
  { what: "a path to what is closed, and a value that would be a field", cases: targetCases },
  { what: "a body that is too much, too slow or cut", cases: bodyCases },
])("$what does no harm, and the next client is served", async ({ cases }) => {
  const rows = await runHostile(cases, () => {});
  expect(rows.filter((row) => !row.ok).map((row) => `${row.name}: ${row.value}`)).toEqual([]);
});
