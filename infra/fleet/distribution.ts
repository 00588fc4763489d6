/**
 * Who gets a model's file from whom, so that it comes into each site once and then goes from host to host, all at the same time: each host passes on what
 * it has while more comes. Pure.
 */
import { type HostSpec, isRemote } from "../spec/host-spec.ts";
import { isFolder, partAddresses, sourceDocument } from "../spec/model-names.ts";
import type { FleetHost } from "./compose.ts";

export interface Member {
  readonly host: string;
  /** Its label `site`: hosts of one site have fast links between them. */
  readonly site: string;
  /** It has the file, whole and verified. */
  readonly has: boolean;
  /** Where the file comes from according to its spec; none when only other hosts have it. */
  readonly urls: readonly string[];
  /** Of its model, for whoever has to look up what its source needs. */
  readonly model: string;
  readonly bytesPerSecond?: number;
}

export interface SharedFile {
  readonly sha256: string;
  /** For messages. */
  readonly what: string;
  readonly members: readonly Member[];
}

export interface SpreadPlan {
  /** These fetch from the origin before anything else: one in each site that has the file nowhere. */
  readonly origin: readonly string[];
  /** From whom each host takes pieces. Whoever is named there has the file, fetches it from the origin, or comes before in this list. */
  readonly links: readonly { readonly host: string; readonly from: readonly string[] }[];
}

/** More would add nothing: four bring what a host's own link can take, and one of them may be slow or gone. */
export const sourcesOfOne = 4;

export function planSpread(members: readonly Member[]): SpreadPlan {
  const origin: string[] = [];
  const links: SpreadPlan["links"][number][] = [];
  for (const site of new Set(members.map((member) => member.site))) {
    const own = members.filter((member) => member.site === site);
    const lacking = own.filter(({ has }) => !has);
    const sources = own.filter(({ has }) => has).map(({ host }) => ({ host, asked: 0 }));
    const first = sources.length > 0 ? undefined : lacking.find(({ urls }) => urls.length > 0);
    if (first) {
      origin.push(first.host);
      sources.push({ host: first.host, asked: 0 });
    }
    // Nobody has it, and it cannot be had.
    if (sources.length === 0) continue;
    for (const { host } of lacking.filter((one) => one !== first)) {
      // Whoever is asked the least: so each sends about as much as it takes, and pieces come along in a line.
      const from = [...sources].sort((a, b) => a.asked - b.asked).slice(0, sourcesOfOne);
      for (const source of from) source.asked++;
      links.push({ host, from: from.map((source) => source.host) });
      sources.push({ host, asked: 0 });
    }
  }
  return { origin, links };
}

/**
 * The files that some hosts lack and several declare, by their digest: what is not pinned in the spec, and folders, each host fetches by itself.
 * @param lacking ids of models whose file `up` would fetch, by host; hosts that are not in it are left alone
 */
export function filesToSpread(
  hosts: readonly FleetHost[],
  lacking: ReadonlyMap<string, ReadonlySet<string>>,
): SharedFile[] {
  const files = new Map<string, { what: string; members: Map<string, Member> }>();
  for (const { name, labels, spec } of hosts) {
    const own = lacking.get(name);
    if (own === undefined || !isRemote(spec.connection)) continue;
    for (const model of spec.models)
      for (const { sha256, urls } of partsOf(model)) {
        const has = !own.has(model.id);
        // It lies where a person puts it, and has not been put there yet.
        if (!has && model.source.path !== undefined) continue;
        const { bytesPerSecond } = model.source;
        const more = bytesPerSecond === undefined ? {} : { bytesPerSecond };
        const member: Member = { host: name, site: labels.site ?? "", has, urls, model: model.id, ...more };
        const file = files.get(sha256) ?? { what: `model ${model.id}`, members: new Map() };
        if (has || !file.members.has(name)) file.members.set(name, member);
        files.set(sha256, file);
      }
  }
  return [...files]
    .map(([sha256, { what, members }]) => ({ sha256, what, members: [...members.values()] }))
    .filter(({ members }) => members.length > 1 && members.some(({ has }) => !has));
}

function partsOf({ source, sha256 }: HostSpec["models"][number]): { sha256: string; urls: string[] }[] {
  const document = sourceDocument(source);
  if (isFolder(document)) return [];
  const digests = [sha256 ?? []].flat();
  const all = "url" in document ? [document.url, ...(document.mirrors ?? [])].map(partAddresses) : [];
  return digests.map((digest, index) => ({ sha256: digest, urls: all.flatMap((urls) => urls[index] ?? []) }));
}
