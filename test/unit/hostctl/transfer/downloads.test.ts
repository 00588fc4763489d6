import { expect, test } from "vitest";
import { runDownloads } from "../../../downloads/run.ts";

test("a transfer that breaks ten times never begins anew, and no wrong byte is accepted", async () => {
  const rows = await runDownloads({ cuts: 10, megabytes: 20, seed: 1, linkBytesPerSecond: null, say: () => {} });
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
}, 60_000);
