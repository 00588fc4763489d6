/** Measured rows against their bars: a table for people, `--json FILE` for machines, a non-zero exit when a bar falls short. */
import { writeFile } from "node:fs/promises";

export interface Row {
  readonly name: string;
  readonly value: number | string | boolean;
  readonly unit: string;
  readonly bar: string;
  readonly ok: boolean;
}

/** Something that must hold. */
export const mustHold = (name: string, ok: boolean, found: string): Row => ({
  name,
  value: found,
  unit: "",
  bar: "holds",
  ok,
});

export function table(rows: readonly Row[]): string {
  const cells = [
    ["", "name", "value", "bar"],
    ...rows.map((row) => [row.ok ? "ok" : "NO", row.name, `${row.value} ${row.unit}`.trim(), row.bar]),
  ];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.min(70, Math.max(...cells.map((line) => line[column]?.length ?? 0))),
  );
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Prints the table and writes the file; returns the exit code. */
export async function report(rows: readonly Row[], file: string | undefined): Promise<number> {
  if (file) await writeFile(file, `${JSON.stringify({ rows }, null, 2)}\n`);
  console.log(table(rows));
  return rows.every((row) => row.ok) ? 0 : 1;
}
