/** A first inventory out of stacks that are there: what hosts of one platform share becomes a profile, so that the next host is one entry. Pure. */
import { stringify } from "yaml";
import { stableJson } from "../spec/stable-json.ts";

export interface DeclaredStack {
  readonly stack: string;
  /** Its `lmstack:host` as it is written, a valid one. */
  readonly declared: Readonly<Record<string, unknown>>;
}

type Part = Readonly<Record<string, unknown>>;

const isPart = (value: unknown): value is Part => typeof value === "object" && value !== null && !Array.isArray(value);
const same = (a: unknown, b: unknown): boolean => stableJson(a) === stableJson(b);

/** @returns the text of `fleet.yaml`; composed, it says of each host exactly what its stack says */
export function draftFleet(stacks: readonly DeclaredStack[]): string {
  const platforms = Map.groupBy(stacks, ({ declared }) => String(declared.platform));
  const shared = new Map(
    [...platforms].map(([platform, members]) => {
      // Where a host is reached is its own, even of the only one.
      const parts = members.map(({ declared: { connection: _, codex: __, ...part } }) => part);
      return [platform, parts.reduce(common)] as const;
    }),
  );
  const profiles = Object.fromEntries([...shared].map(([platform, spec]) => [platform, { spec }]));
  const hosts = stacks.map(({ stack, declared }) => {
    const profile = String(declared.platform);
    return [stack, { profile, spec: rest(declared, shared.get(profile) ?? {}) }];
  });
  const text = stringify(
    { profiles, hosts: Object.fromEntries(hosts) },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
  return `# yaml-language-server: $schema=infra/fleet/fleet.schema.json\n${text}`;
}

/** What both say. A list is one value, as it is where profiles are merged. */
export function common(a: Part, b: Part): Part {
  const entries = Object.entries(a).flatMap(([key, value]): [string, unknown][] => {
    const other = b[key];
    if (isPart(value) && isPart(other)) return [[key, common(value, other)]];
    return key in b && same(value, other) ? [[key, value]] : [];
  });
  return Object.fromEntries(entries);
}

/** What has to be merged over `shared`, which `whole` says too, to have `whole`. */
export function rest(whole: Part, shared: Part): Part {
  const entries = Object.entries(whole).flatMap(([key, value]): [string, unknown][] => {
    const below = shared[key];
    if (!(key in shared)) return [[key, value]];
    const own = isPart(value) && isPart(below) ? rest(value, below) : {};
    return Object.keys(own).length > 0 ? [[key, own]] : [];
  });
  return Object.fromEntries(entries);
}
