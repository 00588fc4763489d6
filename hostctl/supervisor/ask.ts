/** The other end: `converge` pokes the supervisor, passes its progress on, and waits for what it reports. */
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { pause } from "../pause.ts";
import { converse } from "./channel.ts";
import type { PartStatus, SupervisorStatus } from "./status.ts";

/** Resolves with the first status, observed after the poke, that `done` accepts. */
export async function askSupervisor(
  host: Host,
  what: string,
  withinMs: number,
  done: (status: SupervisorStatus) => boolean,
): Promise<SupervisorStatus> {
  const deadline = Date.now() + withinMs;
  let unheard = 0;
  let last: SupervisorStatus | null = null;
  while (Date.now() < deadline) {
    let poked = Number.POSITIVE_INFINITY;
    let accepted: SupervisorStatus | null = null;
    const take = (status: SupervisorStatus) => {
      last = status;
      if (status.seen >= poked && done(status)) accepted = status;
    };
    const satisfied = await converse(host, { do: "poke" }, deadline - Date.now(), (message) => {
      unheard = 0;
      if ("progress" in message) host.say(message.progress);
      if ("poked" in message) poked = message.poked;
      if ("status" in message) take(message.status);
      return accepted !== null;
    }).catch((error: unknown) => {
      if (error instanceof HostFailure) throw error;
      return false;
    });
    if (satisfied && accepted !== null) return accepted;
    // Starting, or restarted by its service manager.
    if (++unheard > 100) {
      throw new HostFailure(
        "service_failed",
        "the supervisor does not answer on its socket",
        "look at `journalctl -u lmstack-supervisor` (or ~/.lmstack/logs) on the host",
      );
    }
    await pause(200);
  }
  const told =
    last === null ? "it reported nothing" : `it reports ${JSON.stringify((last as SupervisorStatus).lmstudio)}`;
  throw new HostFailure(
    "timeout",
    `the supervisor did not bring about ${what} within ${Math.round(withinMs / 1000)} s; ${told}`,
    "look at `journalctl -u lmstack-supervisor` (or ~/.lmstack/logs) on the host",
  );
}

/** Ready: true. Still at work, or about another document: false. Failed: throws the reason. */
export function settled(part: PartStatus | null | undefined, digest: string, what: string): boolean {
  if (part === null || part === undefined || part.digest !== digest || part.state === "working") return false;
  if (part.state === "ready") return true;
  throw new HostFailure(
    part.code ?? "internal",
    `${what}: ${part.reason ?? "no reason was given"}`,
    part.hint ?? "run up again",
  );
}
