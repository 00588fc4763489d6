/** What a rollout does next: from what its journal says and what was seen of the hosts. Pure; a runner that takes over asks it as the first one did. */
import { z } from "zod";
import { few } from "../compose.ts";
import type { Policy } from "../inventory.ts";
import { amountOf, planRollout, type Refusal, type SeenHost } from "../plan.ts";
import type { HostEntry, Journal, Phase, RolloutEntry, SpecText } from "./journal.ts";

export type Step =
  | { readonly do: "preview" | "bake" | "spread"; readonly hosts: readonly string[] }
  | {
      readonly do: "change";
      readonly wave: number;
      readonly canary: boolean;
      readonly hosts: readonly string[];
      /** Waves that are thought to come, this one too. */
      readonly toCome: number;
    }
  | { readonly do: "return"; readonly hosts: readonly string[] }
  | { readonly do: "turn back"; readonly why: string }
  | { readonly do: "pause" }
  | ({ readonly do: "end"; readonly state: "done" | "returned" | "failed"; readonly why: string | null } & {
      readonly held: readonly ({ readonly host: string } & Refusal)[];
    });

type Named = HostEntry & { readonly name: string };

/** @param seen the whole fleet, as it was when this runner began */
export function nextStep(journal: Journal, seen: readonly SeenHost[], policy: Policy, now: Temporal.Instant): Step {
  const [rollout] = journal.rollouts;
  if (rollout === undefined) throw new Error("a rollout's next step was asked for, and there is none");
  const hosts = Object.entries(rollout.hosts).map(([name, entry]): Named => ({ ...entry, name }));
  const names = (...phases: Phase[]): string[] =>
    hosts.filter(({ phase }) => phases.includes(phase)).map(({ name }) => name);
  if (rollout.state === "previewing") return { do: "preview", hosts: names("waiting") };
  if (rollout.state === "returning") return stepBack(journal, rollout, hosts, seen, policy, now);

  const begun = hosts.find(({ phase }) => phase === "changing");
  const failures = hosts.filter(({ phase }) => phase === "failed" || phase === "returned" || phase === "stuck");
  const canary = failures.find((host) => host.canary);
  const allowed = amountOf(policy.errorBudget, seen.length, 0);
  if (journal.wish?.what === "abort")
    return { do: "turn back", why: `aborted by ${journal.wish.user} on ${journal.wish.machine}` };
  if (canary) return { do: "turn back", why: `the canary ${canary.name} failed: ${canary.why}` };
  if (failures.length > allowed) {
    const more = allowed === 0 ? "" : ` (${failures.length} failed, and ${allowed} may)`;
    const [last] = failures.slice(-1);
    return { do: "turn back", why: `${last?.name} failed: ${last?.why}${more}` };
  }
  if (begun) {
    const { wave, canary } = begun;
    const together = hosts.filter((host) => host.phase === "changing" && host.wave === wave);
    return { do: "change", wave: wave ?? 1, canary, hosts: together.map(({ name }) => name), toCome: 1 };
  }
  const back = names("failed", "returning");
  if (back.length > 0) return { do: "return", hosts: back };
  if (journal.wish?.what === "pause") return { do: "pause" };

  const canaries = hosts.filter((host) => host.canary && host.phase === "proved").map(({ name }) => name);
  const proved = canaries.length > 0;
  const { waves, held } = planRollout(seenNow(seen, hosts), policy, now, proved);
  const [wave] = waves;
  if (proved && !rollout.baked && !wave?.canary) return { do: "bake", hosts: canaries };
  // Only when the canary has proved that they are worth it, and before anybody has to wait for them.
  const waiting = wave?.canary === false && !rollout.spread && hosts.filter(({ phase }) => phase === "waiting");
  const without = waiting ? waiting.filter(({ name }) => lackedModels(seen, name).size > 0) : [];
  if (without.length > 0) return { do: "spread", hosts: without.map(({ name }) => name) };
  if (wave) {
    const number = Math.max(0, ...hosts.map((host) => host.wave ?? 0)) + 1;
    const { canary } = wave;
    return { do: "change", wave: number, canary, hosts: wave.hosts.map(({ host }) => host), toCome: waves.length };
  }
  const own = held.filter(({ host }) => host in rollout.hosts);
  const why = own.length > 0 ? `not changed: ${few(own.map(({ host }) => host))}` : null;
  return { do: "end", state: "done", why, held: own };
}

const fileStep = "model-file-";

/** Models whose file `up` of that host would fetch. */
export const lackedModels = (seen: readonly SeenHost[], host: string): ReadonlySet<string> =>
  new Set(
    seen
      .find(({ name }) => name === host)
      ?.steps.filter(({ resource }) => resource.startsWith(fileStep))
      .map(({ resource }) => resource.slice(fileStep.length)),
  );

/** The fleet as this rollout has left it so far. */
function seenNow(seen: readonly SeenHost[], hosts: readonly Named[]): SeenHost[] {
  const entries = new Map(hosts.map((host) => [host.name, host]));
  return seen.map((one): SeenHost => {
    const entry = entries.get(one.name);
    // The fleet holds hosts that this rollout was not made for.
    if (entry === undefined) return one.steps.length === 0 || one.refusal ? one : { ...one, refusal: notOfIt };
    switch (entry.phase) {
      case "waiting":
        return one;
      case "proved":
        return { ...one, available: true, serves: one.declares, steps: [], failed: null, refusal: null };
      case "returned":
        return { ...one, available: true, failed: entry.why, refusal: failedBefore(entry.why) };
      default:
        return { ...one, available: false, serves: [], failed: entry.why, refusal: failedBefore(entry.why) };
    }
  });
}

const notOfIt: Refusal = {
  why: "it was as declared when this rollout began",
  next: "`npx lmstack fleet rollout` once more",
};
const failedBefore = (why: string | null): Refusal => ({
  why: `it failed in this rollout: ${why}`,
  next: "put that right, then `npx lmstack fleet rollout`",
});

const touched: readonly Phase[] = ["changing", "proved", "failed", "returning"];

/** By the same rules as forth, but nothing may stay as it is: who would be held goes last, alone. */
function stepBack(
  { specs }: Journal,
  rollout: RolloutEntry,
  hosts: readonly Named[],
  seen: readonly SeenHost[],
  policy: Policy,
  now: Temporal.Instant,
): Step {
  const open = hosts.filter(({ phase }) => touched.includes(phase));
  if (open.length === 0) {
    const stuck = hosts.filter(({ phase }) => phase === "stuck").map(({ name }) => name);
    if (stuck.length === 0) return { do: "end", state: "returned", why: rollout.why, held: [] };
    const why = `${rollout.why ?? "it was taken back"}; ${few(stuck)} could not go back`;
    return { do: "end", state: "failed", why, held: [] };
  }
  const entries = new Map(open.map((host) => [host.name, host]));
  const fleet = seen.map((one): SeenHost => {
    const entry = entries.get(one.name);
    if (entry === undefined) return { ...one, steps: [], failed: null };
    const available = entry.phase === "proved";
    return {
      ...{ ...one, available, serves: available ? one.declares : [], failed: null, refusal: null },
      ...{
        declares: declaredIn(entry.before === null ? undefined : specs[entry.before]),
        steps: [{ resource: "spec" }],
      },
    };
  });
  const free = { ...policy, errorBudget: "100%", windows: [] };
  const [wave] = planRollout(fleet, free, now, true).waves;
  return { do: "return", hosts: wave?.hosts.map(({ host }) => host) ?? [(open[0] as Named).name] };
}

const withModels = z.object({ models: z.array(z.object({ id: z.string() })).default([]) });

/** Models of a spec. */
export const declaredIn = (spec: SpecText | undefined): string[] =>
  spec === undefined ? [] : (withModels.safeParse(JSON.parse(spec)).data?.models.map(({ id }) => id) ?? []);
