/** `lmstack fleet prometheus`: a folder from which a Prometheus can be started, or that its configuration can take in. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { dashboardsSchema, grafanaDashboard } from "../fleet/dashboards.ts";
import { prometheusFiles, type WrittenFile } from "../fleet/prometheus.ts";
import { isRemote } from "../spec/host-spec.ts";
import { isLoopback } from "../spec/rules.ts";
import { CliFault } from "./fault.ts";
import type { FleetOptions } from "./fleet.ts";
import { inventoryAt } from "./fleet-file.ts";
import { keyReader } from "./fleet-keys.ts";
import { progress } from "./progress.ts";
import { projectRoot } from "./pulumi.ts";

export interface PrometheusOptions extends FleetOptions {
  readonly to: string;
}

const shippedRules = ["alerts.yaml", "fleet-rules.yaml"];

export async function prometheus({ file, json, to }: PrometheusOptions, folder: string = projectRoot): Promise<void> {
  const { hosts, gateway, inventory } = await inventoryAt(file, folder);
  const keysOf = keyReader(folder);
  const reading = Promise.all(hosts.map(async (host) => [host.name, await keysOf(host)] as const));
  const keys = new Map(await progress(`reading the keys of ${hosts.length} stacks`, reading));
  const files = prometheusFiles(hosts, (host) => keys.get(host) ?? [], gateway, inventory);
  const target = resolve(folder, to);
  await refuseForeign(target, to);
  const all = [...files, ...(await Promise.all(shippedRules.map(rulesFile))), ...(await dashboardFiles())];
  for (const one of all) await put(target, one);
  await removeOthers(target, new Set(all.map(({ name }) => name)));
  for (const { name, spec } of hosts)
    if (isRemote(spec.connection) && isLoopback(spec.proxy.bind) && spec.codex.baseUrl === undefined)
      console.error(`${name} listens on ${spec.proxy.bind} only: Prometheus has to run there, or proxy.bind to change`);
  if (gateway && isRemote(gateway.connection) && isLoopback(gateway.metrics.bind))
    console.error(
      `the gateway tells its figures on ${gateway.metrics.bind} only: Prometheus has to run there, or gateway.metrics.bind to change`,
    );
  const written = all.map(({ name }) => name);
  if (json) console.log(JSON.stringify({ ok: true, folder: to, written }));
  console.error(
    `${written.length} files for ${hosts.length} hosts in ${to}. Next: \`prometheus --config.file=${to}/prometheus.yml\``,
  );
}

const shipped = (name: string): Promise<string> => readFile(join(projectRoot, "images/observability", name), "utf8");

const rulesFile = async (name: string): Promise<WrittenFile> => ({
  ...{ name: `rules/${name}`, text: await shipped(name), secret: false },
});

async function dashboardFiles(): Promise<WrittenFile[]> {
  const dashboards = dashboardsSchema.parse(parse(await shipped("dashboards.yaml")));
  return Object.entries(dashboards).map(([name, dashboard]) => ({
    name: `grafana/${name}.json`,
    text: `${JSON.stringify(grafanaDashboard(name, dashboard), null, 2)}\n`,
    secret: false,
  }));
}

/** A configuration that a person wrote is not ours to write over. */
async function refuseForeign(target: string, told: string): Promise<void> {
  const before = await readFile(join(target, "prometheus.yml"), "utf8").catch(() => undefined);
  const found = before ?? (await readdir(target).catch(() => [])).join("");
  if (found === "" || before?.startsWith("# Written by `lmstack fleet prometheus`")) return;
  throw new CliFault(
    `${told}: found files that lmstack did not write; expected an empty folder. Next: name another with --to`,
  );
}

/** A Prometheus that runs reads them again by itself, so it never finds half a file. */
async function put(target: string, { name, text, secret }: WrittenFile): Promise<void> {
  const file = join(target, name);
  await mkdir(dirname(file), { recursive: true, mode: secret ? 0o700 : 0o755 });
  await writeFile(`${file}.new`, text, { mode: secret ? 0o600 : 0o644 });
  await rename(`${file}.new`, file);
}

/** Targets and keys of hosts that are gone would be asked on. */
async function removeOthers(target: string, written: ReadonlySet<string>): Promise<void> {
  for (const within of ["targets", "keys"])
    for (const name of await readdir(join(target, within)).catch(() => []))
      if (!written.has(`${within}/${name}`)) await rm(join(target, within, name));
}
