/** One runner at a time: who has the fleet, and when somebody else may take it. Pure; the moment and what runs here are given. */
import type { Lease } from "./journal.ts";

/** A runner that lives says so this often. */
export const heartbeatSeconds = 20;
/** Without a word for this long it is taken for dead, wherever it ran. */
export const silenceSeconds = 90;

export interface Here {
  readonly machine: string;
  /** Whether a process of this machine runs. */
  runs(pid: number): boolean;
}

export interface Held {
  readonly alive: boolean;
  /** Only time can show whether it lives. */
  readonly far: boolean;
  /** Who, where, since when nothing was heard. */
  readonly words: string;
  /** What whoever wants it can do. */
  readonly next: string;
}

export function heldBy(lease: Lease, now: Temporal.Instant, here: Here): Held {
  const silent = Math.max(0, Math.round(now.since(Temporal.Instant.from(lease.heartbeat)).total("seconds")));
  const own = lease.machine === here.machine;
  // After so long another process has its number.
  const gone = own ? !here.runs(lease.pid) || silent >= 10 * silenceSeconds : silent >= silenceSeconds;
  const words = `${lease.user} on ${lease.machine} (process ${lease.pid}), last heard of ${silent} s ago`;
  if (gone) return { alive: false, far: !own, words, next: "`npx lmstack fleet rollout --resume`" };
  const when = own
    ? "when that process has ended"
    : `in ${silenceSeconds - silent} s if nothing is heard of it till then`;
  return {
    ...{ alive: true, far: !own, words },
    next: `\`npx lmstack fleet status\` shows it; \`npx lmstack fleet pause\` or \`abort\` ends it; \`npx lmstack fleet rollout --resume\` takes it over ${when}`,
  };
}
