/**
 * Logs that launchd, or a detached start, writes into files stay short. They are copied away and cut, because whoever writes holds them open, in append
 * mode: a renamed file would go on growing, so newsyslog's entry would not do, and it would need root. Lines written in between the two steps are lost.
 */
import { copyFile, readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Host } from "./host.ts";

const longestBytes = 5 * 2 ** 20;

/** One look: each `NAME.log` that is too long becomes `NAME.log.1`. */
export async function shortenLogs(host: Host, longest = longestBytes): Promise<void> {
  const names = await readdir(host.paths.logs).catch(() => []);
  for (const name of names.filter((one) => one.endsWith(".log"))) {
    const path = join(host.paths.logs, name);
    if ((await stat(path)).size <= longest) continue;
    await copyFile(path, `${path}.1`);
    await truncate(path);
  }
}

const lookMs = 60_000;

/** Until `signal`; never rejects. */
export async function keepLogsShort(host: Host, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A full disk stops no supervisor.
    await shortenLogs(host).catch(() => {});
    await setTimeout(lookMs, undefined, { signal, ref: false }).catch(() => {});
  }
}
