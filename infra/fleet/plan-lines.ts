/** A plan as a table for people. Pure. */
import type { Plan } from "./plan.ts";

export function planLines({ waves, right, held, errorBudget }: Plan): string[] {
  const rows = waves.flatMap(({ canary, hosts }, index) =>
    hosts.map(({ host, platform, steps }) => [
      `${index + 1}${canary ? " canary" : ""}`,
      host,
      platform,
      stepWords(steps),
    ]),
  );
  const changed = rows.length;
  const table = changed === 0 ? [] : aligned([["WAVE", "HOST", "PLATFORM", "WHAT CHANGES"], ...rows]);
  const budget = `${errorBudget.allowed} may fail${errorBudget.spent > 0 ? `, ${errorBudget.spent} failed already` : ""}`;
  return [
    ...table,
    ...held.flatMap(({ host, why, next }) => [`HELD  ${host}: ${why}`, `      Next: ${next}`]),
    `${changed} to change in ${waves.length} ${waves.length === 1 ? "wave" : "waves"}, ${right.length} as declared, ${held.length} held; ${budget}`,
  ];
}

/** A new host changes in everything; the first few say enough. */
const stepWords = (steps: readonly string[]): string =>
  steps.length <= 4 ? steps.join(", ") : `${steps.slice(0, 3).join(", ")} and ${steps.length - 3} more`;

/** Rows of a table as lines, columns below each other. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
