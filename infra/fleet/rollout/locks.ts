/** Pulumi's lock on a stack, as its error tells it: whose it is, and whether that one can still be at work. Pure. */
import type { Lease } from "./journal.ts";
import type { Here } from "./lease.ts";

export interface Lock {
  readonly user: string;
  readonly machine: string;
  readonly pid: number;
  readonly since: string;
}

/** The form of backends that are files or buckets (pkg/backend/diy/lock.go); Pulumi Cloud says less, and lets go by itself. */
export const locksIn = (words: string): Lock[] =>
  [...words.matchAll(/created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, user = "", machine = "", pid, since = ""]) => ({ user, machine, pid: Number(pid), since }),
  );

/** A lock that was let go between the engine's list of locks and its look into it: Pulumi calls that an error of the backend. */
export const lockWentMeanwhile = (words: string): boolean =>
  /\.pulumi\/locks\/[\s\S]*(?:NotFound|no such file)/.test(words);

/**
 * A state that somebody wrote while it was read: in a folder what belongs to its file is written in place, and is empty for a moment
 * (gocloud.dev/blob/fileblob, attrs.go).
 */
export const writtenMeanwhile = (words: string): boolean => /failed to load checkpoint: EOF/.test(words);

/**
 * Whether nobody is at work behind any of them.
 * @param former whoever had the lease before it was taken from the dead: what its machine left is left
 */
export const areLeft = (locks: readonly Lock[], here: Here, former: Lease | null): boolean =>
  locks.length > 0 &&
  locks.every(({ machine, pid }) =>
    machine === here.machine ? !here.runs(pid) : machine === former?.machine && former.machine !== here.machine,
  );

export const lockWords = (stack: string, locks: readonly Lock[]): string => {
  const [lock] = locks;
  const whose = lock ? `${lock.user} on ${lock.machine} (process ${lock.pid}) since ${lock.since}` : "somebody else";
  return `stack ${stack} is locked by ${whose}. Next: wait for it; if it is gone for good, \`pulumi cancel --stack ${stack}\`, then \`npx lmstack fleet rollout --resume\``;
};
