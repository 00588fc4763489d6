/**
 * Which hosts are changed in which order, so that clients do not notice: from what was seen and what is declared to waves. Pure, and the same answer for
 * the same question. Nothing here knows how a host is changed: each wave is thought to end well before the next begins, and whoever runs the plan
 * plans again when one did not.
 */
import { few } from "./compose.ts";
import { type MaintenanceWindow, type Policy, selects } from "./inventory.ts";
import { busyOf, type Reading } from "./metrics.ts";
import { windowAt } from "./windows.ts";

/** Why a host is not changed now, and what puts that right. */
export interface Refusal {
  readonly why: string;
  readonly next: string;
}

/** One thing that `up` would do on a host. Files come before everything that takes the host out of service. */
export interface Step {
  readonly resource: string;
  /** For a file that only hosts of this fleet have: what it is called among them, and which they are. */
  readonly fetch?: { readonly file: string; readonly from: readonly string[] };
}

export interface SeenHost {
  readonly name: string;
  readonly platform: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly declares: readonly string[];
  /** It answers clients now. */
  readonly available: boolean;
  /** Models that it answers for now. */
  readonly serves: readonly string[];
  /** What its proxy had counted; null when it could not be asked. */
  readonly reading: Reading | null;
  /** Tokens a second of one stream as last proved, by model. */
  readonly provedPaces: Readonly<Record<string, number>>;
  /** In their order; none when it is as declared. */
  readonly steps: readonly Step[];
  /** Why what is declared does not come about there, although it was tried. */
  readonly failed: string | null;
  /** Set when it must not be changed whatever the others do. */
  readonly refusal: Refusal | null;
}

export interface PlannedHost {
  readonly host: string;
  readonly platform: string;
  readonly steps: readonly string[];
}

export interface Plan {
  readonly waves: readonly { readonly canary: boolean; readonly hosts: readonly PlannedHost[] }[];
  /** Hosts that are as declared. */
  readonly right: readonly string[];
  /** Hosts that are not, and stay so. */
  readonly held: readonly ({ readonly host: string } & Refusal)[];
  /** Hosts that may fail, and that have failed already. */
  readonly errorBudget: { readonly allowed: number; readonly spent: number };
}

/** @param proved a canary of this rollout serves already, so that none has to go first */
export function planRollout(fleet: readonly SeenHost[], policy: Policy, now: Temporal.Instant, proved = false): Plan {
  const hosts = [...fleet].sort(byName);
  const right = hosts.filter(({ steps, refusal, failed }) => steps.length === 0 && !refusal && failed === null);
  const failed = hosts.filter((host) => host.failed !== null).map(({ name }) => name);
  const errorBudget = { allowed: amountOf(policy.errorBudget, hosts.length, 0), spent: failed.length };
  const over = errorBudget.spent > errorBudget.allowed ? budgetSpent(failed, errorBudget.allowed) : null;
  const closed = closedWindows(policy.windows, now);

  const held: (readonly [SeenHost, Refusal])[] = [];
  const open: SeenHost[] = [];
  const rightNames = new Set(right);
  for (const host of hosts.filter((one) => !rightNames.has(one))) {
    const refusal = host.refusal ?? unhelped(host) ?? over ?? closed(host);
    if (refusal) held.push([host, refusal]);
    else open.push(host);
  }
  const size = amountOf(policy.wave, hosts.length, 1);
  const { waves, left } = wavesOf(open, new Capacity(hosts, policy), policy, size, proved);
  return {
    waves: waves.map(({ canary, hosts: ofWave }) => ({
      canary,
      hosts: ofWave.map(({ name, platform, steps }) => ({
        host: name,
        platform,
        steps: steps.map(({ resource }) => resource),
      })),
    })),
    right: right.map(({ name }) => name),
    held: [...held, ...left]
      .sort(([a], [b]) => byName(a, b))
      .map(([{ name }, refusal]) => ({ host: name, ...refusal })),
    errorBudget,
  };
}

/** A plan for some hosts: the others count as they are, and stay so. */
export function planOnly(
  names: ReadonlySet<string>,
  fleet: readonly SeenHost[],
  policy: Policy,
  now: Temporal.Instant,
): Plan {
  const asked = ({ name, steps }: SeenHost) => names.has(name) || steps.length === 0;
  const hosts = fleet.map((host) => (asked(host) ? host : { ...host, refusal: host.refusal ?? notAsked }));
  const plan = planRollout(hosts, policy, now);
  return { ...plan, held: plan.held.filter(({ host }) => names.has(host)) };
}
const notAsked: Refusal = { why: "it was not asked for", next: "name it" };

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** A share is rounded down, because it is a limit. */
export function amountOf(amount: number | string, whole: number, least: number): number {
  if (typeof amount === "number") return amount;
  return Math.max(least, Math.floor((whole * Number.parseInt(amount, 10)) / 100));
}

const budgetSpent = (failed: readonly string[], allowed: number): Refusal => ({
  why: `${failed.length} ${failed.length === 1 ? "host has" : "hosts have"} failed (${few(failed)}), and ${allowed} may`,
  next: `\`npx lmstack status --stack ${failed[0]}\` says why; put it right, or raise rollout.errorBudget`,
});

const unhelped = ({ name, steps, failed }: SeenHost): Refusal | null =>
  steps.length > 0 || failed === null
    ? null
    : { why: `no change is left that would help: ${failed}`, next: `\`npx lmstack doctor --stack ${name}\`` };

function closedWindows(
  windows: readonly MaintenanceWindow[],
  now: Temporal.Instant,
): (host: SeenHost) => Refusal | null {
  const states = windows.map((window) => ({ window, ...windowAt(window, now) }));
  return ({ labels }) => {
    const own = states.filter(({ window }) => selects(window.hosts, labels));
    if (own.length === 0 || own.some(({ open }) => open)) return null;
    const opens = own.flatMap(({ opens }) => opens ?? []).sort(Temporal.ZonedDateTime.compare)[0];
    const moment = opens?.toString({ smallestUnit: "minute", offset: "never" }) ?? "never";
    return { why: `its maintenance window is closed until ${moment}`, next: "wait for it, or change rollout.windows" };
  };
}

interface Waves {
  readonly waves: { readonly canary: boolean; readonly hosts: SeenHost[] }[];
  readonly left: (readonly [SeenHost, Refusal])[];
}

function wavesOf(open: readonly SeenHost[], capacity: Capacity, policy: Policy, size: number, proved: boolean): Waves {
  const ranked = [...open].sort(
    (a, b) => Number(a.available) - Number(b.available) || load(a) - load(b) || byName(a, b),
  );
  const labelled = ranked.filter(({ labels }) => policy.canary !== undefined && selects(policy.canary, labels));
  // A host that serves tells more about a change than one that is broken.
  const canaries =
    labelled.length > 0 ? labelled : [...ranked].sort((a, b) => Number(b.available) - Number(a.available));
  const first = proved ? [] : capacity.fill(canaries, labelled.length > 0 ? size : 1);
  if (first.length === 0 && !proved) return { waves: [], left: canaryHeld(ranked, labelled, capacity) };

  const waves = proved ? [] : [{ canary: true, hosts: first }];
  const go = (from: readonly SeenHost[], canary: boolean): SeenHost[] => {
    let rest = from.filter((host) => !capacity.changed.has(host));
    for (;;) {
      const wave = capacity.fill(rest, size);
      if (wave.length === 0) return rest;
      waves.push({ canary, hosts: wave });
      const gone = new Set(wave);
      rest = rest.filter((host) => !gone.has(host));
    }
  };
  go(labelled, true);
  const left = go(ranked, false);
  return { waves, left: left.map((host) => [host, capacity.obstacle(host) as Refusal] as const) };
}

/** What could not be asked may be busy. */
const load = ({ reading }: SeenHost): number => (reading === null ? Number.MAX_SAFE_INTEGER : busyOf(reading));

function canaryHeld(ranked: readonly SeenHost[], labelled: readonly SeenHost[], capacity: Capacity): Waves["left"] {
  const [canary] = labelled;
  return ranked.map((host) => {
    const own = capacity.obstacle(host);
    if (own !== null || canary === undefined) return [host, own as Refusal] as const;
    const { why, next } = capacity.obstacle(canary) as Refusal;
    return [host, { why: `its canary ${canary.name} cannot go first: ${why}`, next }] as const;
  });
}

interface Crowd {
  readonly what: string;
  readonly most: number;
  readonly away: Set<SeenHost>;
}

/** What the fleet can still do without, wave by wave. Hosts of finished waves serve what is declared for them. */
class Capacity {
  readonly changed = new Set<SeenHost>();
  readonly #crowds = new Map<string, Crowd>();
  readonly #serving = new Map<string, number>();
  readonly #declared: ReadonlySet<string>;
  readonly #keep: number;
  /** Files that a host lacks, by its name; none where it cannot be known. */
  readonly #lacking = new Map<string, Set<string>>();

  constructor(hosts: readonly SeenHost[], policy: Policy) {
    this.#keep = policy.keepServing;
    this.#declared = new Set(hosts.flatMap(({ declares }) => declares));
    for (const [what, members] of crowdsOf(hosts)) {
      const most = amountOf(policy.maxUnavailable, members.length, 1);
      this.#crowds.set(what, { what, most, away: new Set(members.filter(({ available }) => !available)) });
    }
    for (const host of hosts) {
      if (host.available) this.#count(host.serves, 1);
      if (host.available || host.refusal === null)
        this.#lacking.set(host.name, new Set(host.steps.flatMap(({ fetch }) => fetch?.file ?? [])));
    }
  }

  /** One wave: as many of these as may be away at once, in their order; then they are back. */
  fill(candidates: readonly SeenHost[], size: number): SeenHost[] {
    const wave: SeenHost[] = [];
    for (const host of candidates) {
      if (wave.length >= size) break;
      if (this.#blocked(host) !== null) continue;
      wave.push(host);
      for (const crowd of this.#crowdsWith(host)) crowd.away.add(host);
      if (host.available) this.#count(host.serves, -1);
    }
    for (const host of wave) {
      this.changed.add(host);
      for (const crowd of this.#crowdsWith(host)) crowd.away.delete(host);
      this.#count(host.declares, 1);
      this.#lacking.set(host.name, new Set());
    }
    return wave;
  }

  /** Why a host cannot be in a wave of its own. */
  obstacle(host: SeenHost): Refusal | null {
    return this.#blocked(host)?.() ?? null;
  }

  /** Asked often and rarely told: the words are made when somebody wants them. */
  #blocked(host: SeenHost): (() => Refusal) | null {
    const missing = host.steps.find(({ fetch }) => fetch && !this.#canFetch(fetch))?.fetch;
    if (missing) return () => noSource(missing.file, missing.from);
    // Who does not serve takes nothing away.
    if (!host.available) return null;
    for (const crowd of this.#crowdsWith(host)) if (crowd.away.size >= crowd.most) return () => crowded(crowd);
    for (const model of host.serves)
      if (this.#declared.has(model) && (this.#serving.get(model) ?? 0) - 1 < this.#keep)
        return () => lastOnes(model, (this.#serving.get(model) ?? 0) - 1, this.#keep);
    return null;
  }

  #canFetch({ file, from }: NonNullable<Step["fetch"]>): boolean {
    return from.some((name) => this.#lacking.get(name)?.has(file) === false);
  }

  *#crowdsWith({ platform, groups }: SeenHost): Iterable<Crowd> {
    for (const what of crowdNames(platform, groups)) yield this.#crowds.get(what) as Crowd;
  }

  #count(models: readonly string[], by: 1 | -1): void {
    for (const model of models) this.#serving.set(model, (this.#serving.get(model) ?? 0) + by);
  }
}

const crowdNames = (platform: string, groups: readonly string[]): string[] => [
  `platform ${platform}`,
  ...groups.map((group) => `group ${group}`),
];

function crowdsOf(hosts: readonly SeenHost[]): Map<string, SeenHost[]> {
  const crowds = new Map<string, SeenHost[]>();
  for (const host of hosts)
    for (const what of crowdNames(host.platform, host.groups)) {
      const members = crowds.get(what) ?? [];
      members.push(host);
      crowds.set(what, members);
    }
  return crowds;
}

const crowded = ({ what, most, away }: Crowd): Refusal => ({
  why: `in ${what} ${few([...away].map(({ name }) => name))} ${away.size === 1 ? "does" : "do"} not serve, and at most ${most} may be away`,
  next: "bring that host back (`npx lmstack doctor --stack NAME`), or raise rollout.maxUnavailable",
});

const lastOnes = (model: string, others: number, keep: number): Refusal => ({
  why: `${model} would be served by ${others} other ${others === 1 ? "host" : "hosts"}, and ${keep} must go on`,
  next: `declare ${model} on another host, or lower rollout.keepServing`,
});

const noSource = (file: string, from: readonly string[]): Refusal => ({
  why: `${file} comes from ${few(from)}, which cannot have it before`,
  next: "give a host in that list the file from elsewhere first",
});
