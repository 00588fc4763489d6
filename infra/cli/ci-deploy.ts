/** `lmstack ci deploy` and `rollout`: a rollout of what was merged, and what is told to git when it was taken back. */
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { behind, deployedRevision, heldAs } from "../fleet/ci/earlier.ts";
import { GitHub } from "../fleet/ci/github.ts";
import { Repository } from "../fleet/ci/repository.ts";
import { few } from "../fleet/compose.ts";
import { isOver, type Journal, type RolloutEntry } from "../fleet/rollout/journal.ts";
import { refuseLostState } from "./ci.ts";
import { CliFault, exitCodes } from "./fault.ts";
import { type FleetFiles, type FleetOptions, filesOf, sync } from "./fleet.ts";
import { journalOf, rollout as roll } from "./fleet-rollout.ts";
import { projectRoot } from "./pulumi.ts";

export interface CiDeployOptions extends FleetOptions {
  readonly reports: string;
}

/** What was merged since hosts were deployed last, to the hosts that it concerns. */
export const deploy = (options: CiDeployOptions): Promise<void> => change(options, false);

/** Whatever is not as declared, on every host, and a revision that is held, too. */
export const rollout = (options: CiDeployOptions): Promise<void> => change(options, true);

async function change(options: CiDeployOptions, everything: boolean): Promise<void> {
  await refuseLostState(projectRoot);
  const repository = new Repository(projectRoot, options.file);
  const revision = await repository.commit("HEAD");
  if (revision === null) throw new CliFault("this is no checkout of git. Next: run it in one");
  const journal = await endBrokenOff(options);
  const deployed = deployedRevision(journal);
  const good = deployed === null ? null : await repository.commit(deployed);
  const fleet = await filesOf(options.file, projectRoot);

  let only: ReadonlySet<string> | undefined;
  if (!everything) {
    const held = await heldAs(journal, (one) => repository.declaresSame(one, revision));
    if (held !== null) return told(options, revision, held);
    const changes = await repository.changes(good, revision);
    const concerned = changes.filter(({ after }) => after !== undefined).map(({ host }) => host);
    only = new Set([...concerned, ...behind(journal, fleet.hosts)]);
    if (only.size === 0) return told(options, revision, `nothing to deploy: hosts have what ${good} declares`);
    console.error(`${revision} concerns ${few([...only])}`);
  }
  await writeStackFiles(fleet, options.file);
  await roll({ ...options, revision, ...(only === undefined ? {} : { only }) });

  const [ended] = (await journalOf(options)).journal.rollouts;
  if (ended?.revision !== revision) return;
  const reports = resolve(projectRoot, options.reports);
  await mkdir(reports, { recursive: true });
  await writeFile(join(reports, "rollout.json"), JSON.stringify(ended));
  if (ended.state === "returned" || ended.state === "failed") await proposeWayBack(repository, revision, good, ended);
}

function told({ json }: FleetOptions, revision: string, words: string): void {
  console.log(json ? JSON.stringify({ ok: true, revision, words }) : words);
}

/** A runner that died left hosts half changed: that comes to its end first. One that lives, or was paused, is somebody's. */
async function endBrokenOff(options: FleetOptions): Promise<Journal> {
  const { journal, runner } = await journalOf(options);
  const [newest] = journal.rollouts;
  if (newest === undefined || isOver(newest) || runner === null || runner.alive) return journal;
  console.error(`rollout ${newest.id} was broken off (${runner.words}): it is ended first`);
  await roll({ ...options, resume: true });
  // How that one went is told by its own words; what counts here is what comes now.
  process.exitCode = exitCodes.done;
  return (await journalOf(options)).journal;
}

/** In this checkout alone. @throws CliFault, Faults */
async function writeStackFiles({ files }: FleetFiles, inventory: string): Promise<void> {
  const lacking = files.filter(({ before }) => before === undefined).map(({ file: { name } }) => name);
  if (lacking.length > 0)
    throw new CliFault(
      `${few(lacking)} ${lacking.length === 1 ? "is" : "are"} not in the repository; nothing was touched. Next: \`npx lmstack fleet sync\` on your machine, set the hosts' secrets, and commit the files: the keys of their secrets are made there`,
    );
  await sync({ file: inventory, yes: true });
}

/** Git still says what hosts do not have: a pull request says what they have. */
async function proposeWayBack(
  repository: Repository,
  revision: string,
  good: string | null,
  { id, why }: RolloutEntry,
): Promise<void> {
  const by = `git revert ${revision.slice(0, 12)}`;
  if (good === null || !process.env.GITHUB_TOKEN)
    return console.error(`git still says ${revision}, which is held. Next: put it right, or \`${by}\``);
  const title = `Back to what hosts have: rollout ${id} was taken back`;
  const words = `${why}\n\nThis declares again what ${good} did. Until a commit declares something else than ${revision}, deployments leave all hosts alone.`;
  const branch = `lmstack/back-from-${revision.slice(0, 12)}`;
  await repository.push(await repository.restoring(good, revision, `${title}\n\n${words}`), branch);
  try {
    const base = process.env.GITHUB_REF_NAME ?? "main";
    console.error(`proposed: ${await GitHub.of(process.env).pull(branch, base, title, words)}`);
  } catch (error) {
    if (!(error instanceof CliFault)) throw error;
    console.error(`${error.message}\nthe way back is on the branch ${branch}. Next: open a pull request of it`);
  }
}
