/** Everything that a run found, in the three forms in which it is kept: numbers for machines, a page, and a picture. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Row } from "../bars.ts";
import type { Figure, Metric } from "../figures.ts";
import type { Machine } from "../machine.ts";
import { groupOf, picture } from "./picture.ts";
import { barTable, figureTable } from "./table.ts";

export const resultsFolder = fileURLToPath(new URL("../results", import.meta.url));

/** One row of the comparison, as it is shown. */
export interface Section {
  readonly name: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** Metric that the picture shows; absent where there is nothing to draw. */
  readonly drawn?: string;
}

export interface Findings {
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
  readonly machine: Machine;
  readonly layout: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  /** What a reader has to know before believing a figure. */
  readonly remarks: readonly string[];
}

export interface Report {
  readonly findings: Findings;
  readonly sections: readonly Section[];
}

function conditions({ machine, layout, versions, rounds, remarks }: Findings): string {
  const peers = Object.entries(versions).map(([name, version]) => `${name} (${version})`);
  return [
    `Machine: ${machine.cores} cores, ${machine.model}, ${machine.memoryGb} GB, ${machine.kernel}, governor: ${machine.governor}, load before: ${machine.loadBefore.toFixed(2)}.`,
    `Layout: ${layout}.`,
    `Peers: ${peers.join(", ")}.`,
    `Each cell: median (lowest..highest) of ${rounds} interleaved rounds after one that does not count; "to" columns are medians of the ratios within a round, of the first metric.`,
    ...remarks.map((remark) => `Remark: ${remark}.`),
  ].join("\n\n");
}

function tables({ findings, sections }: Report): string {
  return sections
    .map(({ name, title, metrics }) => {
      const figures = findings.figures.filter(({ row }) => row === name);
      return `### ${title}\n\n${figureTable(figures, metrics)}`;
    })
    .join("\n\n");
}

export function terminalText(report: Report): string {
  return [conditions(report.findings), tables(report), barTable(report.findings.rows)].join("\n\n");
}

export async function writeResults(report: Report): Promise<void> {
  const { findings, sections } = report;
  await mkdir(resultsFolder, { recursive: true });
  const page = `# The proxy beside its peers

Made by \`npm run bench\`. lmstack runs as one process with every feature on: keys, slots, metrics, an access log in a file, thoughts taken out of
answers, heartbeats, Codex's tools translated. The peers pass bytes on.

![The proxy beside its peers](results.svg)

## Bars

${barTable(findings.rows)}

## Figures

${tables(report)}

## How it was made

${conditions(findings)}
`;
  const groups = sections.flatMap(({ name, title, metrics, drawn }) => {
    const metric = metrics.find(({ label }) => label === drawn);
    if (metric === undefined) return [];
    const figures = findings.figures.filter(({ row }) => row === name);
    const unit = metric.unit === "1/s" ? metric.label : `${metric.unit} ${metric.label}`;
    return [groupOf(title, figures, metric.label, unit, metric.digits)];
  });
  await writeFile(join(resultsFolder, "results.md"), page);
  await writeFile(join(resultsFolder, "results.svg"), picture(groups));
  await writeFile(join(resultsFolder, "results.json"), `${JSON.stringify(findings, null, 2)}\n`);
}
