/** Which hosts a change of the repository concerns, from what two revisions of it declare. Pure. */
import { stringify } from "yaml";
import { stableJson } from "../../spec/stable-json.ts";
import type { FleetHost } from "../compose.ts";
import { besideSpec } from "../stack-text.ts";

export interface Revision {
  readonly hosts: readonly Pick<FleetHost, "name" | "declared">[];
  /** Texts of the stack files that the two revisions have in different words, by host. */
  readonly files: ReadonlyMap<string, string>;
}

export interface HostChange {
  readonly host: string;
  /** What of it changes, in words. */
  readonly what: readonly string[];
  /** Its spec in YAML; undefined where the inventory has no such host. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export const leftInventory = "no longer in the inventory";

/**
 * @param before null when it is not known what hosts have: all are concerned then
 * @param program whether what is put on hosts differs too
 */
export function affectedHosts(before: Revision | null, after: Revision, program: boolean): HostChange[] {
  const was = new Map(before?.hosts.map(({ name, declared }) => [name, declared]));
  const is = new Map(after.hosts.map(({ name, declared }) => [name, declared]));
  return [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((host) => {
    const [old, now] = [was.get(host), is.get(host)];
    const what = [
      ...(before === null ? ["nothing is known to have been deployed before"] : []),
      ...(before !== null && old === undefined ? ["new in the inventory"] : []),
      ...(now === undefined ? [leftInventory] : []),
      ...(old && now && stableJson(old) !== stableJson(now) ? ["its spec"] : []),
      ...(old && now && fileDiffers(host, before?.files, after.files) ? ["secrets or settings in its stack file"] : []),
      ...(old && now && program ? ["lmstack itself"] : []),
    ];
    return what.length === 0 ? [] : [{ host, what, before: old && stringify(old), after: now && stringify(now) }];
  });
}

function fileDiffers(host: string, before: Revision["files"] | undefined, after: Revision["files"]): boolean {
  const rest = (text: string | undefined) =>
    text === undefined ? "" : stableJson(besideSpec(text, `Pulumi.${host}.yaml`));
  return rest(before?.get(host)) !== rest(after.get(host));
}

/** GitHub runs at most 256 jobs of one matrix; a job that looks at fewer hosts than this costs more than it saves. */
const mostJobs = 20;
const leastHosts = 4;

/** Hosts in their order, as they are looked at by jobs of their own. */
export function shards(hosts: readonly string[]): string[][] {
  const size = Math.max(leastHosts, Math.ceil(hosts.length / mostJobs));
  return Array.from({ length: Math.ceil(hosts.length / size) }, (_, index) =>
    hosts.slice(index * size, (index + 1) * size),
  );
}
