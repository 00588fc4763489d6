/** The comment below a pull request and the issue of the nightly look, from what was found on each host. Pure. */
import { z } from "zod";
import { leftInventory } from "./affected.ts";
import type { HostReport } from "./report.ts";

/** What is known of each host before it is previewed; the reports of many jobs are put beside it. */
export const overviewSchema = z.strictObject({
  revision: z.string(),
  /** Of the inventory. */
  total: z.int(),
  hosts: z.array(
    z.strictObject({
      host: z.string(),
      what: z.array(z.string()),
      /** Lines of its spec with `+` and `-`. */
      diff: z.array(z.string()),
      /** Of the plan; null when it is not changed now. */
      wave: z.string().nullable(),
      held: z.string().nullable(),
    }),
  ),
  /** What concerns no single host, in words. */
  notes: z.array(z.string()),
});
export type Overview = z.output<typeof overviewSchema>;
type Row = Overview["hosts"][number];

export type Kind = "preview" | "drift";

/** By which what was written before is found again. */
export const marker = (kind: Kind): string => `<!-- lmstack ${kind} -->`;

/** GitHub takes 65,536 characters. */
const longest = 60_000;

export function titleOf(kind: Kind, { hosts, total }: Overview): string {
  const some = `${hosts.length} of ${total} ${total === 1 ? "host" : "hosts"}`;
  return kind === "preview" ? `${some} would change` : `${some} not as declared`;
}

export function markdownOf(kind: Kind, overview: Overview, reports: readonly HostReport[]): string {
  const of = new Map(reports.map((report) => [report.host, report]));
  const head = [
    marker(kind),
    `### lmstack: ${titleOf(kind, overview)}`,
    "",
    ...overview.notes.flatMap((note) => [`> ${oneLine(note)}`, ""]),
  ];
  const table = [
    "| wave | host | why | what `up` does |",
    "|---|---|---|---|",
    ...overview.hosts.map((row) => `| ${cells(row, of.get(row.host)).map(cell).join(" | ")} |`),
    "",
  ];
  const text = [...head, ...(overview.hosts.length > 0 ? table : []), `As of ${overview.revision}.`, ""];
  let left = longest - text.join("\n").length;
  let hidden = 0;
  for (const row of overview.hosts) {
    const lines = details(row, of.get(row.host));
    left -= lines.join("\n").length + 1;
    if (left > 0) text.push(...lines);
    else hidden += 1;
  }
  if (hidden > 0) text.push(`${hidden} more in the job's artifacts: a comment holds no more.`, "");
  return text.join("\n");
}

function cells({ host, what, wave, held }: Row, report: HostReport | undefined): string[] {
  const gone = what.includes(leftInventory);
  const up = gone
    ? `nothing; \`pulumi destroy --stack ${host}\` takes away what is there`
    : report === undefined
      ? "unknown: its job left no report"
      : report.fault !== null
        ? `**fails**: ${report.fault.split("\n", 1)[0]}`
        : few(report.steps.map(({ op, resource }) => `${op} \`${resource}\``)) || "nothing";
  return [wave ?? "", `**${host}**`, [...what, ...(held === null ? [] : [`held: ${held}`])].join("; "), up];
}

function details({ host, diff }: Row, report: HostReport | undefined): string[] {
  const drift = report?.drift ?? [];
  const steps = report?.steps ?? [];
  const fault = report?.fault?.split("\n") ?? [];
  if (diff.length + drift.length + fault.length === 0 && steps.length <= shownSteps) return [];
  return [
    `<details><summary>${host}</summary>`,
    "",
    ...(diff.length > 0 ? fenced("diff", diff) : []),
    ...(drift.length > 0 ? ["Not as it was left:", ...drift.map((line) => `- ${oneLine(line)}`), ""] : []),
    ...(steps.length > shownSteps
      ? fenced(
          "",
          steps.map(({ op, resource }) => `${op} ${resource}`),
        )
      : []),
    ...(fault.length > 0 ? fenced("", fault) : []),
    "</details>",
    "",
  ];
}

const shownSteps = 4;
const few = (steps: readonly string[]): string =>
  steps.length <= shownSteps ? steps.join(", ") : `${steps.slice(0, 3).join(", ")} and ${steps.length - 3} more`;

/** What stands in them ends neither the fence nor the cell. */
function fenced(language: string, lines: readonly string[]): string[] {
  const inside = lines.flatMap((line) => line.match(/`+/g) ?? []);
  const fence = "`".repeat(Math.max(3, ...inside.map(({ length }) => length + 1)));
  return [`${fence}${language}`, ...lines, fence, ""];
}
const oneLine = (text: string): string => text.replace(/\s+/g, " ").replaceAll("<", "&lt;");
const cell = (text: string): string => oneLine(text).replaceAll("|", "\\|");
