/** Grafana dashboards out of what tells their panels apart (images/observability/dashboards.yaml), in the form of Grafana's schema version 41. Pure. */
import { z } from "zod";

const panel = z.strictObject({
  title: z.string(),
  about: z.string(),
  unit: z.string().default("short"),
  decimals: z.int().optional(),
  max: z.number().optional(),
  stacked: z.boolean().default(false),
  /** A figure in colours from these values on, the first for all below, and not a graph. */
  steps: z.record(z.string(), z.number()).optional(),
  /** What is shown instead of a value. */
  words: z.record(z.string(), z.string()).optional(),
  /** Answered for this moment, without the time before. */
  now: z.boolean().default(false),
  /** Legends and queries. */
  ask: z.record(z.string(), z.string()),
});
const row = z.strictObject({ title: z.string(), width: z.int().optional(), panels: z.array(panel) });
const variables = {
  instance: { label: "Host", query: "label_values(lmstack_build_info, instance)" },
  model: { label: "Model", query: "label_values(lmstack_requests_total, model)" },
  key: { label: "Key", query: "label_values(lmstack_requests_total, key)" },
};
const dashboard = z.strictObject({
  title: z.string(),
  about: z.string(),
  variables: z.array(z.enum(["instance", "model", "key"])),
  rows: z.array(row),
});
export const dashboardsSchema = z.record(z.string(), dashboard);

type Panel = z.output<typeof panel>;
interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

const columns = 24;
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts the chosen data source there
const datasource = { type: "prometheus", uid: "${datasource}" };

/** @returns what Grafana imports, as JSON's value */
export function grafanaDashboard(name: string, { title, about, rows, ...rest }: z.output<typeof dashboard>): object {
  let id = 0;
  let top = 0;
  const panels = rows.flatMap(({ title: rowTitle, width, panels: inRow }) => {
    const head = {
      type: "row",
      id: ++id,
      title: rowTitle,
      collapsed: false,
      panels: [],
      gridPos: place(0, top, columns, 1),
    };
    let x = 0;
    let y = top + 1;
    let height = 0;
    const placed = inRow.map((one) => {
      const [w, h] = one.steps ? [3, 4] : [width ?? 8, 8];
      if (x + w > columns) [x, y] = [0, y + height];
      const made = panelOf(one, ++id, place(x, y, w, h));
      x += w;
      height = h;
      return made;
    });
    top = y + height;
    return [head, ...placed];
  });
  return {
    ...{ title, uid: `lmstack-${name}`, description: about, tags: ["lmstack"], schemaVersion: 41, version: 1 },
    ...{ editable: true, graphTooltip: 1, timezone: "browser", refresh: "30s", time: { from: "now-3h", to: "now" } },
    annotations: { list: [] },
    templating: { list: [dataSourceVariable, ...rest.variables.map(variableOf)] },
    panels,
  };
}

const place = (x: number, y: number, w: number, h: number): Place => ({ x, y, w, h });

const dataSourceVariable = {
  ...{ type: "datasource", name: "datasource", label: "Data source", query: "prometheus", refresh: 1 },
  current: { text: "default", value: "default" },
};

const variableOf = (name: keyof typeof variables): object => ({
  ...{ type: "query", name, label: variables[name].label, datasource },
  query: { query: variables[name].query, refId: `variable-${name}` },
  ...{ refresh: 2, sort: 1, multi: true, includeAll: true, allValue: ".*" },
  current: { text: ["All"], value: ["$__all"] },
});

function panelOf({ title, about, steps, ask, now, ...looks }: Panel, id: number, gridPos: Place): object {
  const targets = Object.entries(ask).map(([legendFormat, expr], index) => ({
    ...{ refId: String.fromCharCode(65 + index), datasource, expr, legendFormat, editorMode: "code" },
    ...{ instant: now, range: !now },
  }));
  const shared = { id, title, description: about, datasource, gridPos, targets };
  return steps ? { ...shared, ...figure(looks, steps, now) } : { ...shared, ...graph(looks) };
}

type Looks = Pick<Panel, "unit" | "decimals" | "max" | "stacked" | "words">;

function figure({ unit, decimals, words }: Looks, steps: NonNullable<Panel["steps"]>, now: boolean): object {
  const coloured = Object.entries(steps).map(([color, value], index) => ({ color, value: index === 0 ? null : value }));
  const named = Object.entries(words ?? {}).map(([value, text], index) => [value, { text, index }]);
  const mappings = words === undefined ? {} : { mappings: [{ type: "value", options: Object.fromEntries(named) }] };
  return {
    type: "stat",
    fieldConfig: {
      defaults: {
        ...{ unit, color: { mode: "thresholds" }, thresholds: { mode: "absolute", steps: coloured } },
        ...(decimals === undefined ? {} : { decimals }),
        ...mappings,
      },
      overrides: [],
    },
    options: {
      ...{ colorMode: "value", graphMode: now ? "none" : "area", justifyMode: "auto", orientation: "auto" },
      ...{ percentChangeColorMode: "standard", showPercentChange: false, textMode: "auto", wideLayout: true },
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    },
  };
}

const graph = ({ unit, max, stacked }: Looks): object => ({
  type: "timeseries",
  fieldConfig: {
    defaults: {
      ...{ unit, min: 0, color: { mode: "palette-classic" } },
      ...(max === undefined ? {} : { max }),
      custom: {
        ...{ drawStyle: "line", lineWidth: 1, fillOpacity: stacked ? 25 : 8, showPoints: "never", spanNulls: false },
        stacking: { group: "A", mode: stacked ? "normal" : "none" },
      },
    },
    overrides: [],
  },
  options: {
    legend: { calcs: [], displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "multi", sort: "desc" },
  },
});
