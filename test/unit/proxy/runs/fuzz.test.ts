import { expect, it } from "vitest";
import { runBodyFuzz } from "../../../proxy-runs/fuzz-bodies.ts";
import { runWireFuzz } from "../../../proxy-runs/fuzz-wire.ts";

it.each([
  ["bodies by chance are refused, or say what they said with thinking as the policy wants it", runBodyFuzz, 10_000],
  ["requests by chance are answered or refused, never mixed up, and leave nothing behind", runWireFuzz, 800],
] as const)("%s", async (_name, fuzz, inputs) => {
  const lines: string[] = [];
  const rows = await fuzz({ inputs, seed: 4, say: (line) => lines.push(line) });
  expect([...rows.filter((row) => !row.ok).map((row) => `${row.name}: ${row.value}`), ...lines]).toEqual([]);
});
