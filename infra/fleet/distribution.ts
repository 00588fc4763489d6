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

export interface Link {
  readonly host: string;
  /** Whom it asks for pieces, each for every so many of them: the first for the first, and so on. A name may come twice. */
  readonly from: readonly string[];
  /** Who stands in for each of those. */
  readonly spares: readonly string[];
}

export interface SpreadPlan {
  /** These fetch from the origin before anything else: one in each site that has the file nowhere. */
  readonly origin: readonly string[];
  readonly links: readonly Link[];
}

/** Into how many stripes a file is cut: one slow or broken host then holds up that part of a file at most. */
export const stripes = 4;

export function planSpread(members: readonly Member[]): SpreadPlan {
  const origin: string[] = [];
  const links: Link[] = [];
  for (const site of new Set(members.map((member) => member.site))) {
    const own = members.filter((member) => member.site === site);
    const lacking = own.filter(({ has }) => !has);
    const holders = own.filter(({ has }) => has).map(({ host }) => host);
    const first = holders.length > 0 ? undefined : lacking.find(({ urls }) => urls.length > 0)?.host;
    if (first !== undefined) {
      origin.push(first);
      holders.push(first);
    }
    // Else nobody has it, and it cannot be had.
    if (holders.length === 0) continue;
    const receivers = lacking.filter(({ host }) => host !== first);
    const fastest = Math.max(...own.map(rateOf));
    const slow = receivers.filter((member) => rateOf(member) < fastest).map(({ host }) => host);
    links.push(
      ...linksOf(
        holders,
        receivers.map(({ host }) => host),
        new Set(slow),
      ),
    );
  }
  return { origin, links };
}

const rateOf = ({ bytesPerSecond }: Member): number => bytesPerSecond ?? Number.POSITIVE_INFINITY;

/** A place in a stripe's tree. */
interface Place {
  readonly host: string;
  readonly above: Place | null;
}

/**
 * Each stripe goes down a tree of its own, and a host has others below it in one tree, mostly: so everybody sends about one copy of the file, and it is
 * few steps from one end to the other. (SplitStream, Castro et al., SOSP 2003.)
 * @param slow of the receivers: these have nobody below them, who would wait for them
 */
function linksOf(holders: readonly string[], receivers: readonly string[], slow: ReadonlySet<string>): Link[] {
  const width = Math.min(stripes, holders.length + receivers.length - 1);
  const below = new Map([...holders, ...receivers].map((host) => [host, 0]));
  const load = (host: string): number => below.get(host) ?? 0;
  const places = new Map(receivers.map((host): [string, Place[]] => [host, []]));
  for (let stripe = 0; stripe < width; stripe++) {
    // Each holder sends one copy in all: one place in each tree. Not always the same ones are used when there are many.
    const turned = holders.map((_, index) => holders[(index + stripe * receivers.length) % holders.length] as string);
    const free: { place: Place; slots: number }[] = turned.map((host) => ({ place: { host, above: null }, slots: 1 }));
    let next = 0;
    for (const host of [...receivers].sort((a, b) => Number(slow.has(a)) - Number(slow.has(b)) || load(a) - load(b))) {
      while (free[next]?.slots === 0) next++;
      // Slow hosts pass nothing on: what they would have sent is sent by whoever sends the least.
      const offer =
        free[next] ?? free.reduce((least, one) => (load(one.place.host) < load(least.place.host) ? one : least));
      if (offer.slots > 0) offer.slots--;
      below.set(offer.place.host, load(offer.place.host) + 1);
      const own: Place = { host, above: offer.place };
      places.get(host)?.push(own);
      if (!slow.has(host)) free.push({ place: own, slots: Math.max(0, width - load(host)) });
    }
  }
  return receivers.map((host) => {
    const above = (places.get(host) ?? []).map((place) => place.above as Place);
    const spare = (place: Place, stripe: number): string =>
      place.above?.host ?? (holders[stripe % holders.length] as string);
    return { host, from: above.map((place) => place.host), spares: above.map(spare) };
  });
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
