/** `lmstack fleet`: one file for many hosts, and what would be done on them in which order. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type FleetHost, few, type Inventory } from "../fleet/compose.ts";
import { lookAtFleet } from "../fleet/look.ts";
import { type Plan, planOnly, planRollout, type Refusal } from "../fleet/plan.ts";
import { planLines } from "../fleet/plan-lines.ts";
import { isOfFleet, type StackText, stackText } from "../fleet/stack-text.ts";
import { type Fault, Faults, fault, faultLine } from "../spec/faults.ts";
import { agree } from "./ask.ts";
import { changeLines } from "./change-lines.ts";
import { exitCodes, UsageFault } from "./fault.ts";
import { inventoryAt } from "./fleet-file.ts";
import { syncGateway } from "./fleet-gateway.ts";
import { progress } from "./progress.ts";
import { askPulumi, projectRoot, stackNames } from "./pulumi.ts";
import { findStack, type StackFile, stackFile, writeStack } from "./stack-file.ts";

export interface FleetOptions {
  readonly file: string;
  readonly json?: boolean;
}
export interface SyncOptions extends FleetOptions {
  readonly yes?: boolean;
  readonly overwrite?: readonly string[];
}

export interface HostFile extends StackText {
  readonly host: FleetHost;
  readonly file: StackFile;
  readonly before: string | undefined;
}

export interface FleetFiles extends Inventory {
  readonly inventory: string;
  readonly files: readonly HostFile[];
  /** Stack files that an inventory wrote for hosts that it no longer has. */
  readonly left: readonly string[];
}

export async function filesOf(path: string, folder: string): Promise<FleetFiles> {
  const { inventory, hosts, policy, gateway } = await inventoryAt(path, folder);
  const files = await Promise.all(hosts.map((host) => fileOf(host, inventory, folder)));
  const own = new Set(files.map(({ file }) => file.name));
  const others = (await readdir(folder)).filter((name) => /^Pulumi\..+\.yaml$/.test(name) && !own.has(name));
  const texts = await Promise.all(others.map((name) => readFile(join(folder, name), "utf8")));
  const left = others.filter((name, index) => isOfFleet(texts[index] as string, name));
  return { hosts, policy, gateway, inventory, files, left };
}

async function fileOf(host: FleetHost, inventory: string, folder: string): Promise<HostFile> {
  const file = stackFile(host.name, folder);
  const before = await findStack(file);
  return { host, file, before, ...stackText(host, before, file.name, inventory) };
}

const stateOf = ({ before, after, edits }: HostFile): "new" | "as declared" | "edited by hand" | "out of date" =>
  before === undefined ? "new" : edits.length > 0 ? "edited by hand" : before === after ? "as declared" : "out of date";

const stale = ({ before, after }: HostFile): boolean => before !== after;
const shownChange = ({ file, before, after }: HostFile): string =>
  changeLines({ name: file.name, before, after, mode: 0o644 }).join("\n");

export const leftFaults = ({ left, inventory }: FleetFiles): Fault[] =>
  left.map((name) => {
    const stack = name.replace(/^Pulumi\.(.+)\.yaml$/, "$1");
    const next = `\`pulumi destroy --stack ${stack}\` and \`pulumi stack rm ${stack}\`, or write it into ${inventory} again`;
    return fault(name, `a host that ${inventory} no longer has`, `hosts.${stack}`, next);
  });

export async function check({ file, json }: FleetOptions, folder: string = projectRoot): Promise<void> {
  const fleet = await filesOf(file, folder);
  const differing = fleet.files.filter(stale);
  const told = [...fleet.files.flatMap(({ edits }) => edits), ...leftFaults(fleet)];
  if (json) {
    const hosts = fleet.files.map((one) => ({ host: one.host.name, file: one.file.name, state: stateOf(one) }));
    console.log(JSON.stringify({ ok: differing.length === 0 && told.length === 0, hosts, faults: told }));
  } else {
    for (const one of differing) console.log(shownChange(one));
    for (const one of told) console.log(faultLine(one));
    console.log(
      `${fleet.files.length - differing.length} of ${fleet.files.length} stack files are as ${fleet.inventory} says`,
    );
  }
  if (differing.length > 0 && told.length === 0) console.error("Next: `npx lmstack fleet sync`");
  if (differing.length > 0 || told.length > 0) process.exitCode = exitCodes.unhealthy;
}

export async function sync(options: SyncOptions, folder: string = projectRoot): Promise<void> {
  const { json, yes, overwrite = [] } = options;
  const fleet = await filesOf(options.file, folder);
  const unknown = overwrite.filter((name) => !fleet.hosts.some((host) => host.name === name));
  if (unknown.length > 0)
    throw new UsageFault(`--overwrite: found ${few(unknown)}; expected hosts of ${fleet.inventory}. Next: correct it`);
  const edits = fleet.files.flatMap(({ host, edits }) => (overwrite.includes(host.name) ? [] : edits));
  if (edits.length > 0) throw new Faults("stack files were edited by hand, nothing was written:", edits);

  const differing = fleet.files.filter(stale);
  for (const one of differing) console.error(shownChange(one));
  for (const one of leftFaults(fleet)) console.error(faultLine(one));
  const owned = differing.filter(({ before }) => before !== undefined);
  if (owned.length > 0 && !yes)
    await agree(
      `write ${owned.length === 1 ? owned[0]?.file.name : `these ${owned.length} files`}?`,
      "nothing was written: there is no terminal to ask at. Next: the same with --yes",
    );
  await makeStacks(fleet.files, folder);
  for (const { host, file } of differing) {
    // Read again: making a stack has written its key for secrets into the file.
    const { after } = await fileOf(host, fleet.inventory, folder);
    await writeStack(file, after);
  }
  const ofGateway = fleet.gateway === null ? [] : await syncGateway(fleet.gateway, options.file, folder);
  const written = [...differing.map(({ file }) => file.name), ...ofGateway];
  if (json) console.log(JSON.stringify({ ok: true, written, left: fleet.left }));
  const all = fleet.files.length + (fleet.gateway === null ? 0 : 1);
  console.error(`${written.length} of ${all} stack files written. Next: \`npx lmstack fleet plan\``);
}

async function makeStacks(files: readonly HostFile[], folder: string): Promise<void> {
  const present = await stackNames({ folder });
  for (const { host } of files)
    if (!present.has(host.name)) await askPulumi(["stack", "init", "--no-select"], host.name, { folder });
}

export async function plan({ file, json }: FleetOptions): Promise<void> {
  const planned = await planOf(await filesOf(file, projectRoot));
  if (json) console.log(JSON.stringify(planned));
  else for (const line of planLines(planned)) console.log(line);
  if (planned.held.length > 0) process.exitCode = exitCodes.unhealthy;
}

/** @param only hosts that may be changed; all when absent */
export async function planOf(fleet: FleetFiles, only?: ReadonlySet<string>): Promise<Plan> {
  const { hosts, policy } = fleet;
  const looking = lookAtFleet(hosts, refusalsOf(fleet));
  const seen = await progress(`looking at ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"}`, looking);
  const now = Temporal.Now.instant();
  return only === undefined ? planRollout(seen, policy, now) : planOnly(only, seen, policy, now);
}

/** What somebody changed by hand is not lost by a rollout either. */
export const refusalsOf = ({ files }: FleetFiles): ReadonlyMap<string, Refusal> =>
  new Map(files.flatMap(({ host, edits }) => (edits.length > 0 ? [[host.name, editedBy(edits)]] : [])));

const editedBy = (edits: readonly Fault[]): Refusal => ({
  why: `its stack file was edited by hand: ${few(edits.map(({ where }) => where))}`,
  next: edits[0]?.next ?? "",
});
