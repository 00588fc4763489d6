/** The quick half of `npm run codex`: every scenario, and each fault in a short form. */
import { expect, test } from "vitest";
import { faults } from "../codex-runs/faults.ts";
import { playRow } from "../codex-runs/run.ts";
import { scenarios } from "../codex-runs/scenarios.ts";

const sizes = { loadSeconds: 3, awaySeconds: 2 };

test.each(scenarios)("Codex $what", async (scenario) => {
  const row = await playRow({ scenario, sizes, seconds: 60 });
  expect(row.ok, String(row.value)).toBe(true);
});

test.each(faults)("Codex ends well and does nothing twice when $what", async (fault) => {
  const scenario = scenarios[0] as (typeof scenarios)[number];
  const row = await playRow({ scenario, fault, sizes, seconds: 90 });
  expect(row.ok, String(row.value)).toBe(true);
});
