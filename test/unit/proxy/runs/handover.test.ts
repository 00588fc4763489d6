import { expect, it } from "vitest";
import { runHandover } from "../../../proxy-runs/handover-run.ts";

it("replacing the serving process again and again refuses nobody and cuts no stream off", async () => {
  const options = { way: "parent", replacements: 3, requestsPerSecond: 100, streams: 10, seed: 1 } as const;
  const rows = await runHandover({ ...options, say: () => {} });
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
});
