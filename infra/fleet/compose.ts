/** From the text of `fleet.yaml` to a spec for each host, or to every fault at once, each at its line. Pure. */
import { isMap, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from "yaml";
import type { z } from "zod";
import { type Fault, Faults, fault, faultsOf, nearest, shown } from "../spec/faults.ts";
import { type HostSpec, isRemote, sections } from "../spec/host-spec.ts";
import { checkHostSpec, keysOf } from "../spec/parse.ts";
import { reachFaults } from "./gateway/reach.ts";
import {
  fleetJsonSchema,
  fleetSchema,
  type GatewaySpec,
  gatewaySchema,
  type Host,
  hostSchema,
  type Policy,
  type Profile,
  policySchema,
  profileSchema,
  type Selector,
  selects,
} from "./inventory.ts";

export interface FleetHost {
  /** Of its stack, too. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  /** As it goes into the stack's file: what the inventory says, without defaults. */
  readonly declared: Readonly<Record<string, unknown>>;
  readonly spec: HostSpec;
}

export interface Inventory {
  readonly hosts: readonly FleetHost[];
  readonly policy: Policy;
  readonly gateway: GatewaySpec | null;
}

type Entries<T> = readonly (readonly [name: string, entry: T])[];
/** One part of a host's spec, and where in the file it stands. */
type Layer = readonly [where: string, part: Readonly<Record<string, unknown>>];

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Maps are merged, everything else replaces what was there, null takes it away. */
export function merged(under: unknown, over: unknown): unknown {
  if (!isPlain(over)) return over;
  const result: Record<string, unknown> = isPlain(under) ? { ...under } : {};
  for (const [key, value] of Object.entries(over))
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  return result;
}

/** @throws Faults */
export function readFleet(text: string, file: string): Inventory {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const title = `${file} has faults, nothing was touched:`;
  const broken = document.errors.map(({ message, linePos }) =>
    fault(`${file}:${linePos?.[0].line ?? 1}`, message.split("\n")[0] ?? message, "valid YAML", "correct the line"),
  );
  if (broken.length > 0) throw new Faults(title, broken);

  const input: unknown = document.toJS() ?? {};
  const form = fleetSchema.safeParse(input);
  const raw = isPlain(input) ? input : {};
  const profiles = new Map(readable(profileSchema, raw.profiles));
  const hosts = readable(hostSchema, raw.hosts);
  const faults = [
    ...(form.success ? [] : faultsOf(form.error, input, keysOf(fleetJsonSchema()), "hosts")),
    ...profileFaults(profiles, hosts),
    ...selectorFaults(raw, hosts),
  ];
  const composed = hosts.map(([name, host]) => {
    const layers = layersOf(name, host, profiles);
    // What a profile that is not there would have said is no fault of the host.
    if (layers === null) return { name, host, layers: [], declared: {}, faults: [] };
    // What a host is and where comes first in its file, whoever said it.
    const order = Object.fromEntries(Object.keys(sections).map((key) => [key, null]));
    const whole = layers.reduce<object>((under, [, part]) => merged(under, part) as object, {});
    const declared = merged({}, { ...order, ...whole }) as FleetHost["declared"];
    return { name, host, layers, declared, ...checkHostSpec(declared) };
  });
  faults.push(...specFaults(composed, document.contents));
  const specs = composed.flatMap(({ name, spec }) => (spec ? [[name, spec] as const] : []));
  faults.push(...sameHostFaults(specs));
  const gateway = gatewaySchema.safeParse(raw.gateway).data;
  if (gateway !== undefined) faults.push(...reachFaults(gateway, new Map(specs)));
  const placed = faults.map((one) => {
    const { offset } = deepest(document.contents, one.where);
    return { ...one, where: `${file}:${lineCounter.linePos(offset).line} ${one.where}` };
  });
  if (placed.length > 0 || !form.success) throw new Faults(title, placed);

  const { groups, rollout, gateway: front = null } = form.data;
  return {
    policy: rollout,
    gateway: front,
    hosts: composed.flatMap(({ name, host: { labels }, declared, spec }) =>
      spec === undefined
        ? []
        : {
            ...{ name, labels, declared, spec },
            groups: Object.keys(groups).filter((group) => selects(groups[group] as Selector, labels)),
          },
    ),
  };
}

/** Entries that are well formed by themselves, so that one broken one does not hide faults in others. */
function readable<T extends z.ZodType>(schema: T, section: unknown): Entries<z.output<T>> {
  return Object.entries(isPlain(section) ? section : {}).flatMap(([name, entry]) => {
    const { data } = schema.safeParse(entry ?? {});
    return data === undefined ? [] : [[name, data] as const];
  });
}

/** In the order in which they are merged; null where a profile is missing or stands on itself. */
function layersOf(name: string, host: Host, profiles: ReadonlyMap<string, Profile>): Layer[] | null {
  const of = (profile: string, within: readonly string[]): Layer[] | null => {
    const found = profiles.get(profile);
    if (found === undefined || within.includes(profile)) return null;
    const under = found.extends.map((other) => of(other, [...within, profile]));
    return under.includes(null)
      ? null
      : [...under.flatMap((layers) => layers ?? []), [`profiles.${profile}.spec`, found.spec]];
  };
  const shared = host.profile === undefined ? [] : of(host.profile, []);
  return shared && [...shared, [`hosts.${name}.spec`, host.spec]];
}

function* profileFaults(profiles: ReadonlyMap<string, Profile>, hosts: Entries<Host>): Iterable<Fault> {
  const known = [...profiles.keys()];
  const asked = [
    ...hosts.flatMap(([name, { profile }]) => (profile === undefined ? [] : [[`hosts.${name}.profile`, profile]])),
    ...[...profiles].flatMap(([name, { extends: others }]) =>
      others.map((other, index) => [`profiles.${name}.extends[${index}]`, other]),
    ),
  ] as [string, string][];
  for (const [where, name] of asked) {
    if (profiles.has(name)) continue;
    const meant = nearest(name, known);
    const next = meant ? `did you mean ${meant}?` : `add profiles.${name}`;
    yield fault(where, shown(name), `a profile (${known.join(", ") || "there is none"})`, next);
  }
  const reaches = (from: string, to: string, seen: Set<string> = new Set()): boolean =>
    (profiles.get(from)?.extends ?? []).some(
      (other) => other === to || (!seen.has(other) && reaches(other, to, seen.add(other))),
    );
  for (const name of known)
    if (reaches(name, name))
      yield fault(`profiles.${name}.extends`, "a circle that leads back to it", "no circle", "take one out");
}

/** A selector that no host fits is a slip of the pen, and a canary that is none would go unnoticed. */
function* selectorFaults(raw: Readonly<Record<string, unknown>>, hosts: Entries<Host>): Iterable<Fault> {
  const groups = isPlain(raw.groups) ? Object.entries(raw.groups) : [];
  const rollout = policySchema.safeParse(raw.rollout ?? {}).data;
  const selectors: [string, unknown][] = [
    ...groups.map(([name, selector]): [string, unknown] => [`groups.${name}`, selector]),
    ["rollout.canary", rollout?.canary ?? {}],
    ...(rollout?.windows ?? []).map(({ hosts }, index): [string, unknown] => [
      `rollout.windows[${index}].hosts`,
      hosts,
    ]),
  ];
  for (const [where, selector] of selectors)
    if (isPlain(selector) && !hosts.some(([, { labels }]) => selects(selector as Selector, labels)))
      yield fault(where, shown(selector), "labels that at least one host has", "correct it, or label a host so");
}

interface Composed {
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly faults: readonly Fault[];
}

/** A fault is told where the value stands, once for all hosts that get it from there. */
function specFaults(hosts: readonly Composed[], root: ParsedNode | null): Fault[] {
  const told = new Map<string, { fault: Fault; hosts: string[] }>();
  for (const { name, layers, faults } of hosts)
    for (const one of faults) {
      // The last one wins as it does in the merge; what nobody says is missing in the host's own part.
      const reach = layers.map(([where]) => deepest(root, `${where}.${one.where}`).length - where.length);
      const place = reach.lastIndexOf(Math.max(...reach));
      const where = `${layers[reach[place] === 0 ? layers.length - 1 : place]?.[0]}.${one.where}`;
      const key = JSON.stringify({ ...one, where });
      const entry = told.get(key) ?? { fault: { ...one, where }, hosts: [] };
      entry.hosts.push(name);
      told.set(key, entry);
    }
  return [...told.values()].map(({ fault, hosts }) => ({ ...fault, where: `${fault.where} (${few(hosts)})` }));
}

/** The first names, and how many more. */
export const few = (names: readonly string[]): string =>
  names.length <= 4 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;

/** Two stacks on one host would undo each other's work; two stacks whose names differ in case share a file on a Mac. */
function* sameHostFaults(hosts: Entries<HostSpec>): Iterable<Fault> {
  const taken = new Map<string, string>();
  for (const [name, { connection }] of hosts) {
    const address = isRemote(connection) ? `${connection.host}, port ${connection.port}` : "this machine";
    for (const [key, where, what] of [
      [`name ${name.toLowerCase()}`, `hosts.${name}`, "a name of its own"],
      [`address ${address}`, `hosts.${name}.spec.connection`, "an address of its own"],
    ] as const) {
      const other = taken.get(key);
      if (other !== undefined)
        yield fault(where, `${key.replace(/^name /, "")}, as hosts.${other}`, what, "change one");
      taken.set(key, name);
    }
  }
}

/** How much of a path (`hosts.box1.spec.models[0].id`) the file has, in characters, and where that stands. Names may hold dots. */
function deepest(root: ParsedNode | null, path: string): { readonly length: number; readonly offset: number } {
  let node: Node | null = root;
  let length = 0;
  let offset = root?.range?.[0] ?? 0;
  for (;;) {
    const rest = path.slice(length).replace(/^\./, "");
    const begun = path.length - rest.length;
    if (isMap<Node, Node | null>(node)) {
      const keys = node.items.map((pair) => ({ pair, text: String(pair.key) }));
      const fits = keys.filter(({ text }) => rest.startsWith(text) && /^($|[.[ ])/.test(rest.slice(text.length)));
      const found = fits.sort((a, b) => b.text.length - a.text.length)[0];
      if (found === undefined) return { length, offset };
      length = begun + found.text.length;
      offset = found.pair.key.range?.[0] ?? offset;
      node = found.pair.value;
    } else if (isSeq<Node>(node)) {
      const step = /^\[(\d+)\]/.exec(rest);
      const item = step ? node.items[Number(step[1])] : undefined;
      if (step === null || item === undefined) return { length, offset };
      length = begun + step[0].length;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else return { length, offset };
  }
}
