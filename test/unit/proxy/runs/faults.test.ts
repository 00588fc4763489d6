import { expect, it } from "vitest";
import { runFaults } from "../../../proxy-runs/fault-run.ts";

it("whatever becomes of LM Studio, every client gets an end that it can read, and nothing stays behind", async () => {
  const lines: string[] = [];
  const rows = await runFaults({ requests: 64, seed: 4, say: (line) => lines.push(line) });
  expect(rows.filter((row) => !row.ok).map((row) => `${row.name}: ${row.value}`)).toEqual([]);
  // An example of a wrong end is a line that is set in.
  expect(lines.filter((line) => line.startsWith("  ") && !/: [0-9]+ of [0-9]+$/.test(line))).toEqual([]);
});
