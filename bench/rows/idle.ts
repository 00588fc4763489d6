/** A thousand streams that are open and say nothing: what each of them keeps in memory. */
import { setTimeout } from "node:timers/promises";
import { LightClient } from "../load/light-client.ts";
import { chatBody, type LoadRequest, postRequest } from "../load/request.ts";
import type { RunningPeer } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { residentKb } from "../usage.ts";

export interface IdleResult {
  /** Of the process that has served a hundred streams and rests. */
  readonly idleMb: number;
  readonly perStreamKb: number;
  readonly errors: number;
}

const servedBefore = 100;

export interface IdleFacts {
  readonly streams: number;
  /** Seconds in which a process comes to rest, before and after. */
  readonly restSeconds: number;
}

/**
 * Of a peer that has served a hundred streams, so that its code is compiled and its pages are there: what a process pays once is no stream's. More
 * load before would leave garbage in the heap, which would hide what streams need.
 */
export async function measureIdle(peer: RunningPeer, standIn: StandIn, facts: IdleFacts): Promise<IdleResult> {
  const pid = peer.process?.pid;
  if (pid === undefined) throw new Error("a process is needed to measure its memory");
  const request = postRequest("/v1/chat/completions", chatBody("bench-idle", true));
  await standIn.answer({ tokens: 2 });
  const first = new LightClient(peer.port);
  for (let served = 0; served < servedBefore; served++) await first.send(request);
  first.destroy();
  await setTimeout(facts.restSeconds * 1_000);
  const before = residentKb(pid);
  // Two tokens and then none for an hour.
  await standIn.answer({ tokens: 3, burst: 2, gapMs: 3_600_000 });
  const connections = Array.from({ length: facts.streams }, () => new LightClient(peer.port));
  let errors = 0;
  // Not all at once: how many connections may wait to be accepted is another question.
  for (let at = 0; at < connections.length; at += 50) {
    await Promise.all(
      connections.slice(at, at + 50).map((connection) => begun(connection, request).catch(() => errors++)),
    );
  }
  await setTimeout(facts.restSeconds * 1_000);
  const after = residentKb(pid);
  for (const connection of connections) connection.destroy();
  return { idleMb: before / 1_024, perStreamKb: (after - before) / facts.streams, errors };
}

/** Resolves with the first bytes of the answer. */
function begun(connection: LightClient, request: LoadRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    // It never ends by itself; that it is cut in the end is no error.
    connection.send(request, () => resolve()).catch(reject);
  });
}
