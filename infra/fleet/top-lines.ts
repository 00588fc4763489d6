/** What a fleet does at this moment, as a table for people. Pure. */
import type { HostView } from "./host-view.ts";
import type { Rates } from "./metrics.ts";
import { aligned } from "./plan-lines.ts";

type Columns = readonly string[];
const head: Columns = ["HOST", "STATE", "MODEL", "RUNNING", "QUEUED", "TOKENS/S", "A STREAM", "FIRST TOKEN", "FAILED"];

/** In the order of what asks for a look: silent hosts, then those that are not ready, then the busiest. */
export function topLines(views: readonly HostView[], models: readonly string[]): string[] {
  const ranked = views.map((view) => ({ view, rank: rankOf(view) })).sort((a, b) => b.rank - a.rank);
  const rows = ranked.flatMap(({ view }) => hostRows(view));
  const table = aligned([head, ...rows.map(({ cells }) => cells)]);
  const [titles = "", ...lines] = table;
  const said = rows.map(({ words }, index) => `${lines[index]}${words === undefined ? "" : `  ${words}`}`);
  return [summary(views), "", ...aligned([modelHead, ...models.map((id) => modelRow(id, views))]), "", titles, ...said];
}

function rankOf({ silence, reading }: HostView): number {
  if (silence) return Number.MAX_SAFE_INTEGER;
  if (reading === null) return -1;
  const load = Object.values(reading.models).reduce((sum, { running, queued }) => sum + running + queued, 0);
  return load + (reading.ready ? 0 : Number.MAX_SAFE_INTEGER / 2);
}

interface Row {
  readonly cells: Columns;
  readonly words?: string;
}

function hostRows({ host, reading, rates, silence }: HostView): Row[] {
  if (silence) return [{ cells: [host, "SILENT"], words: `${silence.why}. Next: ${silence.next}` }];
  if (reading === null) return [{ cells: [host, "asking"] }];
  const state = reading.ready ? "ready" : "NOT READY";
  const failed = rates === null ? "" : String(rates.errors);
  const models = Object.entries(reading.models);
  if (models.length === 0) return [{ cells: [host, state, "(none)"] }];
  return models.map(([id, { running, queued, slots }], index) => {
    const own = rates?.models[id];
    return {
      cells: [
        ...(index === 0 ? [host, state] : ["", ""]),
        id,
        slots === null ? String(running) : `${running}/${slots}`,
        String(queued),
        figure(own?.tokensPerSecond),
        figure(own?.pace),
        own?.firstToken == null ? "" : `${own.firstToken.toFixed(own.firstToken < 1 ? 2 : 1)} s`,
        index === 0 ? failed : "",
      ],
    };
  });
}

const figure = (value: number | null | undefined): string => (value == null ? "" : value.toFixed(1));

const modelHead: Columns = ["MODEL", "READY ON", "RUNNING", "QUEUED", "TOKENS/S"];

function modelRow(id: string, views: readonly HostView[]): Columns {
  const serving = views.flatMap(({ reading, rates }) => {
    const now = reading?.models[id];
    return now ? [{ now, ready: reading.ready, tokensPerSecond: rates?.models[id]?.tokensPerSecond ?? 0 }] : [];
  });
  const sum = (of: (one: (typeof serving)[number]) => number): number => serving.reduce((all, one) => all + of(one), 0);
  return [
    id,
    String(serving.filter(({ ready }) => ready).length),
    String(sum(({ now }) => now.running)),
    String(sum(({ now }) => now.queued)),
    sum(({ tokensPerSecond }) => tokensPerSecond).toFixed(1),
  ];
}

function summary(views: readonly HostView[]): string {
  const ready = views.filter(({ reading }) => reading?.ready).length;
  const tokens = views.reduce((sum, { rates }) => sum + tokensOf(rates), 0);
  const requests = views.reduce((sum, { rates }) => sum + (rates?.requests ?? 0), 0);
  const failed = views.reduce((sum, { rates }) => sum + (rates?.errors ?? 0), 0);
  return `${ready} of ${views.length} hosts ready, ${tokens.toFixed(1)} tokens/s, ${requests} requests ended and ${failed} failed since the last look`;
}

const tokensOf = (rates: Rates | null): number =>
  Object.values(rates?.models ?? {}).reduce((sum, { tokensPerSecond }) => sum + tokensPerSecond, 0);

/** As many lines as a screen has, each as wide: what does not fit is counted. */
export function onScreen(lines: readonly string[], rows: number, columns: number): string[] {
  const fitting = lines.length <= rows ? lines : lines.slice(0, rows - 1);
  const cut = fitting.map((line) => (line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line));
  return lines.length <= rows ? cut : [...cut, `… ${lines.length - fitting.length} more lines`.slice(0, columns)];
}
