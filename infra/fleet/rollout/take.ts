/** How a run of the command comes to be the one that rolls: by a lease, taken in the same change of the journal that it is needed for. */

import { CliFault } from "../../cli/fault.ts";
import type { SeenHost } from "../plan.ts";
import type { Effects, Say } from "./effects.ts";
import { begun, isOver, type Journal, type Lease, momentOf, type Wanted, withHosts, withNewest } from "./journal.ts";
import { type Here, heldBy } from "./lease.ts";

const lookSeconds = 5;

export type Me = Omit<Lease, "heartbeat">;

/** @throws CliFault when another rollout is not over: it has to be ended or taken up, whoever runs it */
export function refuseUnlessFree(journal: Journal, now: Temporal.Instant, here: Here): void {
  const [newest] = journal.rollouts;
  if (newest === undefined || isOver(newest)) return;
  const held = journal.lease && heldBy(journal.lease, now, here);
  if (held?.alive)
    throw new CliFault(`rollout ${newest.id} is running: ${held.words}; nothing was touched. Next: ${held.next}`);
  const how = held ? `was broken off: ${held.words}` : "is paused";
  throw new CliFault(
    `rollout ${newest.id} ${how}; nothing was touched. Next: \`npx lmstack fleet rollout --resume\` goes on with it, \`npx lmstack fleet abort\` takes it back`,
  );
}

/** @throws CliFault, with nothing begun */
export async function begin(
  { journal, now }: Pick<Effects, "journal" | "now">,
  me: Me,
  here: Here,
  wanted: Omit<Wanted, "by" | "at">,
): Promise<Journal> {
  const at = momentOf(now());
  return await journal.change((before) => {
    refuseUnlessFree(before, now(), here);
    const by = { user: me.user, machine: me.machine };
    return { ...begun(before, { ...wanted, by, at }), lease: { ...me, heartbeat: at } };
  });
}

/** A runner on another machine is dead when it stays silent; one that is heard of meanwhile lives. */
export async function awaitSilence(
  { journal, now, wait }: Pick<Effects, "journal" | "now" | "wait">,
  here: Here,
  say: Say,
  stop: AbortSignal,
): Promise<void> {
  const first = (await journal.read()).lease;
  for (let { lease } = { lease: first }; lease?.heartbeat === first?.heartbeat; lease = (await journal.read()).lease) {
    const held = lease && heldBy(lease, now(), here);
    if (!held?.alive || !held.far || stop.aborted) return;
    say(`waiting to see whether the runner lives: ${held.words}`);
    await wait(lookSeconds, stop);
  }
}

/** Takes up what another left, or what stopped with a host that could not go back. @throws CliFault */
export async function resume({ journal, now }: Pick<Effects, "journal" | "now">, me: Me, here: Here): Promise<Journal> {
  return await journal.change((before) => {
    const [newest] = before.rollouts;
    const held = before.lease && heldBy(before.lease, now(), here);
    if (newest === undefined || (isOver(newest) && newest.state !== "failed"))
      throw new CliFault(
        `there is no rollout to resume: ${newest ? `rollout ${newest.id} is over (${newest.state})` : "there was none yet"}. Next: \`npx lmstack fleet rollout\``,
      );
    if (held?.alive) throw new CliFault(`rollout ${newest.id} is running: ${held.words}. Next: ${held.next}`);
    // Who resumes wants it to go on, whatever was asked of the runner before.
    const wish = before.wish?.what === "abort" ? before.wish : null;
    const taken = { ...before, wish, lease: { ...me, heartbeat: momentOf(now()) } };
    if (newest.state !== "failed") return taken;
    const stuck = Object.entries(newest.hosts).filter(([, { phase }]) => phase === "stuck");
    const again = Object.fromEntries(stuck.map(([name]) => [name, { phase: "returning", why: null } as const]));
    return withNewest(withHosts(taken, again), { state: "returning", ended: null });
  });
}

/** What was proved once and is not true any more is still to be done. */
export function asSeen(journal: Journal, fleet: readonly SeenHost[]): Journal {
  const lost = fleet.filter(
    ({ name, steps, failed }) =>
      journal.rollouts[0]?.hosts[name]?.phase === "proved" && (steps.length > 0 || failed !== null),
  );
  return withHosts(journal, Object.fromEntries(lost.map(({ name }) => [name, { phase: "changing" } as const])));
}
