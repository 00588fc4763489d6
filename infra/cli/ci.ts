/**
 * `lmstack ci preview` and `drift`: what a job of CI tells people. Each may run whole on one machine, or in three parts on many: one lists the hosts, others look at
 * some of them each and leave a report a host, the last puts the reports together and says them.
 */
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { type HostChange, leftInventory, shards } from "../fleet/ci/affected.ts";
import { backendRefusal, runnerOf } from "../fleet/ci/backend.ts";
import { deployedRevision, heldAs } from "../fleet/ci/earlier.ts";
import { GitHub } from "../fleet/ci/github.ts";
import { type Kind, markdownOf, marker, type Overview, overviewSchema, titleOf } from "../fleet/ci/markdown.ts";
import { type HostReport, hostReport, reportOf } from "../fleet/ci/report.ts";
import { Repository } from "../fleet/ci/repository.ts";
import type { Plan } from "../fleet/plan.ts";
import { faultLine } from "../spec/faults.ts";
import { changeLines } from "./change-lines.ts";
import { CliFault, exitCodes, UsageFault } from "./fault.ts";
import { type FleetFiles, type FleetOptions, filesOf, leftFaults, planOf } from "./fleet.ts";
import { journalOf } from "./fleet-rollout.ts";
import { previewed } from "./preview.ts";
import { progress } from "./progress.ts";
import { askPulumi, projectRoot, stackNames } from "./pulumi.ts";

export interface CiOptions extends FleetOptions {
  /** Folder of the reports. */
  readonly reports: string;
  readonly list?: boolean;
  readonly hosts?: string;
  readonly post?: boolean;
}
export interface CiPreviewOptions extends CiOptions {
  readonly base: string;
}

const overviewFile = "overview.json";

export const preview = (options: CiPreviewOptions, folder: string = projectRoot): Promise<void> =>
  look("preview", options, folder, () => changed(options, folder));

export const drift = (options: CiOptions, folder: string = projectRoot): Promise<void> =>
  look("drift", options, folder, () => drifted(options, folder));

/** @throws CliFault where state would go with the machine */
export async function refuseLostState(folder: string): Promise<void> {
  const { url } = JSON.parse(await askPulumi(["whoami", "--json"], undefined, { folder })) as { url: string };
  const refusal = backendRefusal(url, runnerOf(process.env, folder));
  if (refusal !== null) throw new CliFault(refusal);
}

async function look(kind: Kind, options: CiOptions, folder: string, list: () => Promise<Overview>): Promise<void> {
  const { hosts, post, json } = options;
  const parts = [options.list, hosts !== undefined, post].filter(Boolean).length;
  if (parts > 1) throw new UsageFault("found several of --list, --hosts and --post; expected one. Next: take one");
  const reports = resolve(folder, options.reports);
  // Who only tells needs no state.
  if (!post) await refuseLostState(folder);
  await mkdir(reports, { recursive: true });

  if (hosts === undefined && !post) {
    const overview = await list();
    await writeFile(join(reports, overviewFile), JSON.stringify(overview));
    const names = overview.hosts.filter(({ what }) => !what.includes(leftInventory)).map(({ host }) => host);
    if (options.list) return await sayShards(kind, overview, names, json);
    await report(names, options, folder, reports);
  } else if (hosts !== undefined) return await report(words(hosts), options, folder, reports);

  const overview = overviewSchema.parse(JSON.parse(await readFile(join(reports, overviewFile), "utf8")));
  const found = await readReports(reports, overview);
  const text = markdownOf(kind, overview, found);
  const address = post ? await said(kind, overview, text) : null;
  if (json) console.log(JSON.stringify({ ok: true, address, ...overview, reports: found }));
  else console.log(address ?? text);
  const { GITHUB_STEP_SUMMARY: summary } = process.env;
  if (summary) await appendFile(summary, text);
  const failing = overview.hosts.some(
    ({ host, what }) => !what.includes(leftInventory) && found.find((one) => one.host === host)?.fault !== null,
  );
  // What has drifted is told by the issue; a red job beside it would tell it twice.
  if (kind === "preview" ? failing : !post && overview.hosts.length > 0) process.exitCode = exitCodes.unhealthy;
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");

/** For a matrix: one text of names for each job. */
async function sayShards(
  kind: Kind,
  overview: Overview,
  names: readonly string[],
  json: boolean | undefined,
): Promise<void> {
  const jobs = JSON.stringify(shards(names).map((some) => some.join(" ")));
  if (process.env.GITHUB_OUTPUT) await appendFile(process.env.GITHUB_OUTPUT, `hosts=${jobs}\n`);
  console.log(json ? jobs : titleOf(kind, overview));
}

async function changed({ file, base }: CiPreviewOptions, folder: string): Promise<Overview> {
  const repository = new Repository(folder, file);
  const before = await repository.commit(base);
  if (before === null)
    throw new CliFault(
      `--base: this checkout has no commit ${base}. Next: name one that it has; in a workflow \`fetch-depth: 0\``,
    );
  const revision = (await repository.commit("HEAD")) as string;
  const changes = await repository.changes(before, revision);
  const fleet = await filesOf(file, folder);
  const names = changes.filter(({ after }) => after !== undefined).map(({ host }) => host);
  return overviewOf(fleet, revision, changes, await planOf(fleet, new Set(names)), true);
}

/** Hosts that a held revision concerns are not as declared because they were taken back: no news. */
async function drifted({ file }: CiOptions, folder: string): Promise<Overview> {
  const repository = new Repository(folder, file);
  const revision = (await repository.commit("HEAD")) ?? "";
  const { journal } = await journalOf({ file });
  const held = await heldAs(journal, (one) => repository.declaresSame(one, revision));
  const back = held === null ? [] : await repository.changes(deployedRevision(journal), revision);
  const fleet = await filesOf(file, folder);
  const plan = await planOf(fleet);
  const changes = [...plan.waves.flatMap(({ hosts }) => hosts), ...plan.held]
    .filter(({ host }) => !back.some((one) => one.host === host))
    .map(({ host }) => ({ host, what: [], before: undefined, after: undefined }));
  const overview = overviewOf(fleet, revision, changes, plan, false);
  return held === null ? overview : { ...overview, notes: [...overview.notes, held] };
}

function overviewOf(
  fleet: FleetFiles,
  revision: string,
  changes: readonly HostChange[],
  { waves, held }: Plan,
  withWaves: boolean,
): Overview {
  const wave = new Map(
    waves.flatMap(({ canary, hosts }, index) =>
      hosts.map(({ host }) => [host, `${index + 1}${canary ? " canary" : ""}`] as const),
    ),
  );
  const kept = new Map(held.map(({ host, why, next }) => [host, `${why}. Next: ${next}`]));
  const order = [...wave.keys(), ...kept.keys()];
  const place = ({ host }: HostChange) => (order.includes(host) ? order.indexOf(host) : order.length);
  return {
    revision,
    total: fleet.hosts.length,
    hosts: [...changes]
      .sort((a, b) => place(a) - place(b))
      .map(({ host, what, before, after }) => ({
        ...{ host, what: [...what], wave: (withWaves && wave.get(host)) || null, held: kept.get(host) ?? null },
        diff: before === after ? [] : diffLines(host, before, after),
      })),
    notes: leftFaults(fleet).map(faultLine),
  };
}

/** As Markdown's `diff` wants them. */
const diffLines = (name: string, before: string | undefined, after: string | undefined): string[] =>
  changeLines({ name, before, after, mode: 0o644 })
    .slice(1)
    .map((line) => line.replace(/^ {2}([-+ ]) /, "$1 "));

/** Leaves a file for each host, a few at a time: each is an engine of Pulumi's. */
async function report(hosts: readonly string[], { file }: CiOptions, folder: string, reports: string): Promise<void> {
  const fleet = await filesOf(file, folder);
  const stacks = await stackNames({ folder });
  const work = Readable.from(hosts).forEach(
    async (host: string) => {
      const found = await reportOn(host, fleet, stacks);
      await writeFile(join(reports, `${host}.host.json`), JSON.stringify(found));
    },
    { concurrency: availableParallelism() },
  );
  await progress(`previews of ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"}`, work);
}

async function reportOn(host: string, fleet: FleetFiles, stacks: ReadonlySet<string>): Promise<HostReport> {
  const failed = (fault: string): HostReport => ({ host, steps: [], drift: [], fault });
  const found = fleet.files.find(({ host: { name } }) => name === host);
  if (found === undefined) return failed(`${basename(fleet.inventory)} has no such host`);
  if (found.edits.length > 0) return failed(found.edits.map(faultLine).join("\n"));
  try {
    return reportOf(host, await previewed(found.file, found.after, stacks.has(host)));
  } catch (error) {
    if (error instanceof CliFault) return failed(error.message);
    throw error;
  }
}

async function readReports(reports: string, { hosts }: Overview): Promise<HostReport[]> {
  const there = await readdir(reports);
  const own = hosts.map(({ host }) => `${host}.host.json`).filter((name) => there.includes(name));
  return await Promise.all(
    own.map(async (name) => hostReport.parse(JSON.parse(await readFile(join(reports, name), "utf8")))),
  );
}

async function said(kind: Kind, overview: Overview, text: string): Promise<string | null> {
  const github = GitHub.of(process.env);
  const wanted = overview.hosts.length > 0;
  if (kind === "drift") return await github.issue(marker(kind), `lmstack: ${titleOf(kind, overview)}`, text, wanted);
  const pull = /^refs\/pull\/(\d+)\//.exec(process.env.GITHUB_REF ?? "")?.[1];
  if (pull === undefined)
    throw new CliFault("GITHUB_REF names no pull request. Next: run it in one, or leave --post out");
  return await github.comment(Number(pull), marker(kind), text, wanted);
}
