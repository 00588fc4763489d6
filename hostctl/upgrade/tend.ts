/** A supervisor beside an upgrade: out of its way while it goes on, and the one who undoes it when nobody holds it any more. */
import type { Host } from "../host.ts";
import { readInstalled } from "../lmstudio/installed.ts";
import { tryLock } from "../lock.ts";

/** Held for as long as a trial lasts. The kernel lets go of it when its holder dies, and then the trial is nobody's. */
export const upgradeLock = "upgrade";

/**
 * For the supervisor, before each look. `apart`: another process is changing versions, so it keeps its hands off. `proving`: it brings the
 * newer version up as it would any. A trial that nobody holds any more is undone here.
 */
export async function tendTrial(host: Host): Promise<"apart" | "proving" | null> {
  const seen = (await readInstalled(host))?.trial ?? null;
  if (seen === null) return null;
  const release = await tryLock(host, upgradeLock);
  if (release === null) return seen.phase === "proving" ? "proving" : "apart";
  try {
    // Ended between the two looks, or really abandoned.
    const trial = (await readInstalled(host))?.trial ?? null;
    if (trial === null) return null;
    host.say(`the upgrade to LM Studio ${trial.to} was broken off: going back to ${trial.from}`);
    // Seldom, and it takes much code.
    const { goBack } = await import("./way-back.ts");
    await goBack(host);
    return null;
  } finally {
    await release();
  }
}
