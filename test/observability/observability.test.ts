import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { dashboardsSchema, grafanaDashboard } from "../../infra/fleet/dashboards.ts";
import { samplesIn } from "../../infra/fleet/metrics.ts";
import { Metrics } from "../../proxy/seeing/metrics.ts";
import { GatewayPlace } from "../gateway/place.ts";
import { failureOf, knowsQwen, recordOf } from "../unit/proxy/seeing/records.ts";
import type { DashboardJson } from "./dashboard-types.ts";

const folder = join(import.meta.dirname, "../../images/observability");
const ruleFiles = ["alerts", "fleet-rules"];

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly annotations?: { readonly summary: string; readonly description: string };
}

const described = dashboardsSchema.parse(parse(await readFile(join(folder, "dashboards.yaml"), "utf8")));
const dashboards = Object.entries(described).map(([name, one]) => {
  const text = JSON.stringify(grafanaDashboard(name, one));
  return { name, text, json: JSON.parse(text) as DashboardJson };
});
const rulesOf = async (file: string): Promise<Rule[]> => {
  const { groups } = parse(await readFile(join(folder, `${file}.yaml`), "utf8")) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
};
const rules = (await Promise.all(ruleFiles.map(rulesOf))).flat();
const recorded = rules.flatMap(({ record }) => record ?? []);
const expressionsOf = ({ panels }: DashboardJson): string[] =>
  panels.flatMap((panel) => (panel.type === "row" ? [] : panel.targets.map(({ expr }) => expr)));
const shownExpressions = dashboards.flatMap(({ json }) => expressionsOf(json));

async function promtool(...words: string[]): Promise<void> {
  const { exitCode, all, code } = await execa("promtool", words, { reject: false, all: true });
  if (code === "ENOENT")
    throw new Error(
      "promtool is not on the PATH, and the alert rules are checked by it: apt-get install -y --no-install-recommends prometheus",
    );
  expect(exitCode, all).toBe(0);
}

/** Labels of every series that the proxy shows once it has seen everything, and of those of a gateway. */
const series = new Map<string, Set<string>>();
beforeAll(async () => {
  const card = { index: 0, name: "A", memoryUsedBytes: 1, memoryTotalBytes: 2, utilization: 0, powerWatts: 1 };
  const metrics = new Metrics(knowsQwen(), {
    version: "1",
    queues: () => [{ model: "qwen", slots: 1, running: 0, queued: 0, claimed: 0, heldUntil: null, missing: false }],
    openStreams: () => 0,
    connections: () => 0,
    gpus: () => [{ ...card, temperatureCelsius: 1 }],
    ready: () => true,
  });
  metrics.finished(recordOf({ repairs: new Map([["name", 1]]) }));
  metrics.finished(failureOf());
  metrics.finished(failureOf({ code: "queue_full" }));
  metrics.interToken("qwen", 1);
  await using gateway = await GatewayPlace.open([{ host: { name: "box", port: 1 }, models: ["qwen"] }], ["box"]);
  const ofGateway = await (await fetch(gateway.metricsUrl)).text();
  for (const { name, labels } of samplesIn(`${await metrics.text()}${ofGateway}`))
    series.set(name, new Set(Object.keys(labels)));
  metrics.close();
});

/** Metrics of the proxy in an expression, each with the labels that it is selected by. */
function selectors(expression: string): { name: string; labels: string[] }[] {
  // What rules record has names with colons in them.
  const asked = recorded.reduce((left, name) => left.replaceAll(name, "recorded"), expression);
  return [...asked.matchAll(/\b((?:lmstack|process|nodejs|haproxy)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = "", inside = ""]) => ({
      name,
      labels: [...inside.matchAll(/(\w+)\s*=/g)].map(([, label]) => label ?? ""),
    }),
  );
}

/** Added by Prometheus to whatever it scrapes, and by the targets of a fleet. */
const scrapeLabels = ["instance", "job", "platform"];
/** Written from the inventory. */
const declared = "lmstack_declared_hosts";

function expectKnown(expression: string): void {
  for (const { name, labels } of selectors(expression)) {
    if (name === declared) continue;
    expect([...series.keys()], `${name} in ${expression}`).toContain(name);
    const known = [...(series.get(name) ?? []), ...scrapeLabels];
    for (const label of labels) expect(known, `label ${label} of ${name} in ${expression}`).toContain(label);
  }
}

describe.each(ruleFiles)("the rules in %s", (file) => {
  it("are accepted by Prometheus", async () => {
    await promtool("check", "rules", join(folder, `${file}.yaml`));
  });

  it("fire when they should and are silent when they should", async () => {
    await promtool("test", "rules", join(import.meta.dirname, `${file}.test.yaml`));
  });

  it("are each shown firing", async () => {
    const tests = await readFile(join(import.meta.dirname, `${file}.test.yaml`), "utf8");
    for (const { alert } of await rulesOf(file))
      if (alert) expect(tests).toContain(`ALERTS{alertname="${alert}", alertstate="firing"`);
  });

  it("ask only for what the proxy shows", async () => {
    for (const { expr } of await rulesOf(file)) expectKnown(expr);
  });

  it("each say what to do", async () => {
    for (const { alert, annotations } of await rulesOf(file)) {
      if (alert === undefined) continue;
      expect(annotations?.summary.length, alert).toBeGreaterThan(10);
      expect(annotations?.description.length, alert).toBeGreaterThan(60);
    }
  });
});

it("the dashboards show everything that the proxy counts", () => {
  const shown = new Set(shownExpressions.flatMap((expr) => selectors(expr).map(({ name }) => name)));
  const ofProxy = [...series.keys()].filter((name) => name.startsWith("lmstack_") && !/_(?:sum|count)$/.test(name));
  expect(ofProxy.filter((name) => !shown.has(name))).toEqual([]);
});

describe.each(dashboards)("the dashboard of a $name", ({ text, json }) => {
  it("asks only for what the proxy shows", () => {
    const variables = (json.templating?.list ?? []).map(({ query }) => JSON.stringify(query));
    expect(expressionsOf(json).length).toBeGreaterThan(8);
    for (const expr of [...expressionsOf(json), ...variables]) expectKnown(expr);
  });

  it("has queries that Prometheus understands", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "lmstack-dashboard-"));
    try {
      const asked = expressionsOf(json).map((expr, i) => ({
        record: `panel:query:${i}`,
        expr: expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*"),
      }));
      await writeFile(join(scratch, "queries.json"), JSON.stringify({ groups: [{ name: "dashboard", rules: asked }] }));
      await promtool("check", "rules", join(scratch, "queries.json"));
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });

  it("says of each panel what it shows, and none covers another", () => {
    const { panels } = json;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Map<string, string>();
    for (const panel of panels) {
      const { title = "", gridPos = { x: 0, y: 0, w: 0, h: 0 } } = panel;
      if (panel.type !== "row") expect(panel.description, title).toMatch(/\w/);
      expect(gridPos.w, title).toBeGreaterThan(0);
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x},${y}`), title).toBeUndefined();
          taken.set(`${x},${y}`, title);
        }
      }
    }
  });

  it("is what Grafana's own types call a dashboard, down to each option of each panel", () => {
    expect(typeErrors(text)).toEqual([]);
  });
});

it.each([
  ["an option that no panel has", '"showLegend":true', '"showLegends":true'],
  ["a value that an option does not know", '"drawStyle":"line"', '"drawStyle":"lines"'],
  ["a panel of another kind", '"type":"stat"', '"type":"stats"'],
  ["a member of the wrong type", '"schemaVersion":41', '"schemaVersion":"41"'],
])("would not be called a dashboard with %s", (_, right, wrong) => {
  const text = dashboards[0]?.text ?? "";
  expect(text).toContain(right);
  expect(typeErrors(text.replace(right, wrong)).length).toBeGreaterThan(0);
});

/** What tsc says of this JSON as a literal of `DashboardJson`. */
function typeErrors(json: string): string[] {
  const name = join(import.meta.dirname, "dashboard-literal.ts");
  const source = `import type { DashboardJson } from "./dashboard-types.ts";\nexport const dashboard: DashboardJson = ${json};\n`;
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    types: [],
    lib: ["lib.es2022.d.ts"],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === name || fileExists(file);
  host.getSourceFile = (file, ...rest) =>
    file === name ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022) : getSourceFile(file, ...rest);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
