/** What the journal of rollouts says of earlier revisions. Pure. */
import { stableJson } from "../../spec/stable-json.ts";
import type { FleetHost } from "../compose.ts";
import { type Journal, specsAfter } from "../rollout/journal.ts";

/**
 * The newest revision that hosts have, so that what was merged since is what they lack. Git's own "before" would not do: a job that waits gives way to a newer
 * one, whose "before" has the changes of both but the last.
 * @returns null when none is known, as after a rollback by hand
 */
export function deployedRevision({ rollouts }: Journal): string | null {
  const newest = rollouts.find(({ state }) => state === "done");
  return newest?.kind === "rollout" ? newest.revision : null;
}

/** Hosts that have another spec than they should since a rollout passed them by: they could not be reached, or were not let in. */
export function behind(journal: Journal, hosts: readonly Pick<FleetHost, "name" | "declared">[]): string[] {
  const has = specsAfter(journal, journal.rollouts[0]?.id ?? 0);
  return hosts.filter(({ name, declared }) => has[name] && has[name] !== stableJson(declared)).map(({ name }) => name);
}

/** The first of the revisions that were taken back which `same` finds in what is declared now, in words; null when there is none. */
export async function heldAs({ held }: Journal, same: (revision: string) => Promise<boolean>): Promise<string | null> {
  for (const { revision, rollout, why } of held)
    if (await same(revision))
      return `${revision} is held: rollout ${rollout} was taken back (${why}). Next: merge a commit that declares something else; \`npx lmstack ci rollout\` tries it again all the same`;
  return null;
}
