/** What is remembered of rollouts: who wanted what when, what each host had before, and what came of it. Pure. */
import { z } from "zod";
import { specDigest } from "../../spec/stable-json.ts";

/** A spec as the inventory declares it, without defaults and without secrets, in stable JSON. */
export type SpecText = string;

/**
 * waiting: untouched. changing: may be drained, and anything in between. proved: as `after`, and serves. failed: the change did not come about.
 * returning: on its way back to `before`. returned: as `before` again, and serves. stuck: neither; it stays out of the gateway until a person has helped.
 */
export const phases = ["waiting", "changing", "proved", "failed", "returning", "returned", "stuck"] as const;
export type Phase = (typeof phases)[number];

const hostEntry = z.object({
  phase: z.enum(phases),
  /** From 1; null while nobody knows. */
  wave: z.int().nullable(),
  canary: z.boolean(),
  /** Digests into `specs`; null before its preview, and where no `up` has ever ended well there. */
  before: z.string().nullable(),
  after: z.string(),
  /** Before the change: tokens a second of a stream by model, and the share of requests that failed; null where nothing is known. */
  paces: z.record(z.string(), z.number()).nullable(),
  errors: z.number().nullable(),
  /** Of what was done last. */
  seconds: z.number().nullable(),
  why: z.string().nullable(),
});
export type HostEntry = z.output<typeof hostEntry>;

const person = { user: z.string(), machine: z.string() };

const rolloutEntry = z.object({
  /** Counted from 1. */
  id: z.int(),
  kind: z.enum(["rollout", "rollback"]),
  /** What the specs came from, such as a git commit. */
  revision: z.string().nullable(),
  by: z.object(person),
  begun: z.iso.datetime(),
  ended: z.iso.datetime().nullable(),
  /** Without a lease it is paused. refused: a preview failed, nothing was touched. failed: a host is stuck. */
  state: z.enum(["previewing", "rolling", "returning", "done", "returned", "failed", "refused"]),
  /** The canary has served long enough. */
  baked: z.boolean(),
  /** Files that other hosts lacked have been brought to them. */
  spread: z.boolean().default(false),
  why: z.string().nullable(),
  hosts: z.record(z.string(), hostEntry),
});
export type RolloutEntry = z.output<typeof rolloutEntry>;

const lease = z.object({
  /** Of one run of the command. */
  id: z.string(),
  ...person,
  pid: z.int(),
  heartbeat: z.iso.datetime(),
});
export type Lease = z.output<typeof lease>;

export const journalSchema = z.object({
  lease: lease.nullable(),
  /** What somebody asked the runner for; it does it when it has finished what it is at. */
  wish: z.object({ what: z.enum(["pause", "abort"]), ...person }).nullable(),
  /** The newest first. */
  rollouts: z.array(rolloutEntry),
  /** Revisions that were taken back, and stay so until the commit changes. */
  held: z.array(z.object({ revision: z.string(), rollout: z.int(), why: z.string() })),
  specs: z.record(z.string(), z.string()),
});
export type Journal = z.output<typeof journalSchema>;

export const emptyJournal: Journal = { lease: null, wish: null, rollouts: [], held: [], specs: {} };

/** A moment as the journal has it. */
export const momentOf = (now: Temporal.Instant): string => now.toString({ smallestUnit: "millisecond" });

/** Each one keeps a spec a host. */
const kept = 20;

export interface Wanted {
  readonly kind: RolloutEntry["kind"];
  readonly revision: string | null;
  readonly by: { readonly user: string; readonly machine: string };
  readonly at: string;
  /** What each should come to. */
  readonly hosts: Readonly<Record<string, SpecText>>;
}

const byDigest = (specs: readonly SpecText[]) => Object.fromEntries(specs.map((spec) => [specDigest(spec), spec]));

export function begun(journal: Journal, { hosts, at, by, ...wanted }: Wanted): Journal {
  const entries = Object.entries(hosts).map(([name, after]): [string, HostEntry] => {
    const unknown = { before: null, paces: null, errors: null, seconds: null, why: null };
    return [name, { phase: "waiting", wave: null, canary: false, after: specDigest(after), ...unknown }];
  });
  const entry: RolloutEntry = {
    ...{ id: (journal.rollouts[0]?.id ?? 0) + 1, ...wanted, by: { ...by }, begun: at, ended: null },
    ...{ state: "previewing", baked: false, spread: false, why: null, hosts: Object.fromEntries(entries) },
  };
  const rollouts = [entry, ...journal.rollouts].slice(0, kept);
  const known = { ...journal.specs, ...byDigest(Object.values(hosts)) };
  const used = new Set(
    rollouts.flatMap((one) => Object.values(one.hosts).flatMap(({ before, after }) => [before, after])),
  );
  const specs = Object.fromEntries(Object.entries(known).filter(([digest]) => used.has(digest)));
  return { ...journal, wish: null, rollouts, specs };
}

/**
 * Of a rollout that is past its previews, as it is.
 * @param lastGood what each host has now; null where no `up` has ever ended well
 */
export function previewed(journal: Journal, lastGood: ReadonlyMap<string, SpecText | null>): Journal {
  if (journal.rollouts[0]?.state !== "previewing") return journal;
  const texts = [...lastGood.values()].filter((spec) => spec !== null);
  const befores = [...lastGood].map(([host, spec]) => [host, { before: spec === null ? null : specDigest(spec) }]);
  const known = { ...journal, specs: { ...journal.specs, ...byDigest(texts) } };
  return withHosts(withNewest(known, { state: "rolling" }), Object.fromEntries(befores));
}

/** The newest rollout changed; the same journal where there is none. */
export function withNewest(journal: Journal, change: Partial<Omit<RolloutEntry, "hosts">>): Journal {
  const [newest, ...older] = journal.rollouts;
  return newest === undefined ? journal : { ...journal, rollouts: [{ ...newest, ...change }, ...older] };
}

export function withHosts(journal: Journal, changes: Readonly<Record<string, Partial<HostEntry>>>): Journal {
  const [newest, ...older] = journal.rollouts;
  if (newest === undefined) return journal;
  const hosts = Object.fromEntries(
    Object.entries(newest.hosts).map(([name, entry]) => [name, { ...entry, ...changes[name] }]),
  );
  return { ...journal, rollouts: [{ ...newest, hosts }, ...older] };
}

/** What became of a host: of its change proved or failed, of its way back the others. */
export type End = Pick<HostEntry, "why" | "seconds"> & { readonly phase: "proved" | "failed" | "returned" | "stuck" };

/** An end is that of a host which is still at what has ended: told once more, it changes nothing. */
export function withEnd(journal: Journal, host: string, end: End): Journal {
  const at = end.phase === "proved" || end.phase === "failed" ? "changing" : "returning";
  return journal.rollouts[0]?.hosts[host]?.phase === at ? withHosts(journal, { [host]: end }) : journal;
}

/** A revision that was taken back is held, by a failure or by a person; one that went well is not any more. */
export function ended(
  journal: Journal,
  state: "done" | "returned" | "failed" | "refused",
  why: string | null,
  at: string,
): Journal {
  const [newest, last] = journal.rollouts;
  const over = withNewest(journal, { state, why, ended: at });
  if (newest === undefined || state === "refused") return over;
  const { id, kind, revision, by } = newest;
  const done = state === "done";
  const words = done ? `rolled back by ${by.user} on ${by.machine}` : (why ?? state);
  // Of a way back that failed nobody knows which end was at fault.
  const taken = kind === "rollback" ? (done ? (last?.revision ?? null) : null) : done ? null : revision;
  const others = journal.held.filter((one) => one.revision !== taken && !(done && one.revision === revision));
  if (taken === null || (done && taken === revision)) return { ...over, held: others };
  return { ...over, held: [{ revision: taken, rollout: id, why: words }, ...others].slice(0, kept) };
}

export const isOver = ({ state }: RolloutEntry): boolean =>
  state === "done" || state === "returned" || state === "failed" || state === "refused";

/** What each host had when rollout `id` was over, of hosts that the journal knows; 0 is before the oldest. Null: it was not one of them yet. */
export function specsAfter({ rollouts, specs }: Journal, id: number): Record<string, SpecText | null> {
  const found: Record<string, string | null> = {};
  // From the newest back: what came later is undone, and what was proved by then stays.
  for (const { id: own, hosts } of rollouts.filter(({ state }) => state !== "refused"))
    for (const [name, { phase, before, after }] of Object.entries(hosts)) {
      if (own > id) found[name] = before;
      else found[name] ??= phase === "proved" ? after : before;
    }
  return Object.fromEntries(
    Object.entries(found).map(([name, digest]) => [name, digest === null ? null : (specs[digest] ?? null)]),
  );
}
