/** Results as Markdown: for the terminal, and for the page in `bench/results`. */
import type { Row } from "../bars.ts";
import type { Figure, Metric } from "../figures.ts";

export function barTable(rows: readonly Row[]): string {
  return table(
    ["", "what", "measured", "bar"],
    rows.map((row) => [row.ok ? "ok" : "**NO**", row.name, `${row.value} ${row.unit}`.trim(), row.bar]),
  );
}

/** One line a peer, one column a metric, each cell with its spread. */
export function figureTable(figures: readonly Figure[], metrics: readonly Metric[]): string {
  const peers = [...new Set(figures.map(({ peer }) => peer))];
  const shown = metrics.filter(({ label }) =>
    figures.some(({ metric, median }) => metric === label && Number.isFinite(median)),
  );
  const lines = peers.map((peer) => {
    const of = (label: string) => figures.find((figure) => figure.peer === peer && figure.metric === label);
    const first = of(shown[0]?.label ?? "");
    return [
      peer,
      ...shown.map(({ label, digits }) => cell(of(label), digits)),
      share(first?.toDirect),
      share(first?.toNginx),
    ];
  });
  const heads = shown.map(({ label, unit }) => (unit === "1/s" ? label : `${label}, ${unit}`));
  return table(["peer", ...heads, "to direct", "to nginx"], lines);
}

function cell(figure: Figure | undefined, digits: number): string {
  if (figure === undefined || !Number.isFinite(figure.median)) return "-";
  const [median, min, max] = [figure.median, figure.min, figure.max].map((value) => value.toFixed(digits));
  return `${median} (${min}..${max})`;
}

function share(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : `${value.toFixed(2)}x`;
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...lines.map(row)].join("\n");
}
