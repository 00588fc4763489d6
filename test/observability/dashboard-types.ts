/** What Grafana's own schema package says of a dashboard with the kinds of panels that ours has, tightened where it says only "anything". */
import type { Dashboard, FieldConfig, Panel, RowPanel } from "@grafana/schema";
import type { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type {
  FieldConfig as TimeSeriesFieldConfig,
  Options as TimeSeriesOptions,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** Grafana's Prometheus data source has its types in a package of its own, with all of Grafana's interface behind it. */
interface PrometheusQuery {
  refId: string;
  datasource: { type: "prometheus"; uid: string };
  expr: string;
  legendFormat: string;
  editorMode: "code";
  instant: boolean;
  range: boolean;
}

interface PanelOf<Type extends string, Options, Custom>
  extends Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> {
  type: Type;
  options: Options;
  fieldConfig: {
    defaults: Omit<FieldConfig, "custom"> & { custom?: Custom };
    overrides: never[];
  };
  targets: PrometheusQuery[];
}

type KnownPanel =
  | PanelOf<"timeseries", TimeSeriesOptions, TimeSeriesFieldConfig>
  | PanelOf<"stat", StatOptions, never>
  | (Omit<RowPanel, "panels"> & { panels: never[] });

/** JSON has the values of enums and not their names. */
type AsJson<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends (infer Element)[]
      ? AsJson<Element>[]
      : T extends object
        ? { [Key in keyof T]: AsJson<T[Key]> }
        : T;

export type DashboardJson = AsJson<Omit<Dashboard, "panels"> & { panels: KnownPanel[] }>;
