/** The rows about the proxy alone: memory of idle streams, cancelled requests, cold start. nginx stands beside it where it has such a figure. */
import { judge, type Row } from "../bars.ts";
import { endChild } from "../children.ts";
import type { Figure } from "../figures.ts";
import type { Sizes } from "../options.ts";
import { lmstack } from "../peers/lmstack.ts";
import { nginx } from "../peers/nginx.ts";
import type { Peer, PeerContext, RunningPeer } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { percentile, spread } from "../statistics.ts";
import { cancelBeforeFirstByte, cancelMidStream, cancelWhileQueued } from "./cancel.ts";
import { measureColdStart } from "./cold-start.ts";
import { type IdleResult, measureIdle } from "./idle.ts";

export interface OwnResult {
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
}

const idleStreams = 1_000;

export function figure(row: string, peer: string, metric: string, unit: string, values: readonly number[]): Figure {
  return { row, peer, metric, unit, ...spread(values), toDirect: null, toNginx: null };
}

async function withPeer<T>(peer: Peer, context: PeerContext, work: (running: RunningPeer) => Promise<T>): Promise<T> {
  const running = await peer.start(context);
  try {
    return await work(running);
  } finally {
    if (running.process !== undefined) await endChild(running.process);
  }
}

/** Fresh processes in each round, since a used heap would hide what streams need; `rounds` as everywhere. */
export async function idleRow(
  context: PeerContext,
  standIn: StandIn,
  { restSeconds }: Sizes,
  rounds: number,
): Promise<OwnResult> {
  const facts = { streams: idleStreams, restSeconds };
  const measure = (peer: Peer) => withPeer(peer, context, (running) => measureIdle(running, standIn, facts));
  const found = { lmstack: [] as IdleResult[], nginx: [] as IdleResult[] };
  for (let round = 0; round < rounds; round++) {
    for (const peer of round % 2 === 0 ? [lmstack, nginx] : [nginx, lmstack])
      found[peer.name as keyof typeof found].push(await measure(peer));
  }
  const each = (results: readonly IdleResult[]) => results.map(({ perStreamKb }) => perStreamKb);
  const whole = (results: readonly IdleResult[]) => results.map(({ idleMb }) => idleMb);
  const failed = [...found.lmstack, ...found.nginx].reduce((sum, { errors }) => sum + errors, 0);
  return {
    rows: [
      judge("1,000 open idle streams: each", spread(each(found.lmstack)).median, "KB", 1, { atMost: 40 }),
      judge("idle process", spread(whole(found.lmstack)).median, "MB", 0, { atMost: 110 }),
      judge("1,000 open idle streams: failed", failed, "", 0, { atMost: 0 }),
    ],
    figures: Object.entries(found).flatMap(([peer, results]) => [
      figure("idle", peer, "memory of an idle stream", "KB", each(results)),
      figure("idle", peer, "memory of an idle process", "MB", whole(results)),
    ]),
  };
}

export async function cancelRow(context: PeerContext, standIn: StandIn, { cancels }: Sizes): Promise<OwnResult> {
  const measure = (peer: Peer, queue: boolean) =>
    withPeer(peer, context, async (running) => {
      // One quarter more, and those first ones do not count: the code is cold.
      const times = Math.ceil(cancels * 1.25);
      const first = await cancelBeforeFirstByte(running, standIn, times);
      const stream = await cancelMidStream(running, standIn, times);
      const queued = queue ? await cancelWhileQueued(running, standIn, times) : { times: [], sent: 0 };
      const kept = (values: readonly number[]) => values.slice(-cancels);
      return { first: kept(first), stream: kept(stream), queued: kept(queued.times), sent: queued.sent };
    });
  const own = await measure(lmstack, true);
  const beside = await measure(nginx, false);
  const within = (when: string, times: readonly number[]) =>
    judge(`client goes away ${when}: p99`, percentile(times, 0.99), "ms", 2, { atMost: 20 });
  const figures = (
    [
      ["lmstack", own],
      ["nginx", beside],
    ] as const
  ).flatMap(([peer, { first, stream, queued }]) => [
    figure("cancel", peer, "before the first byte", "ms", first),
    figure("cancel", peer, "mid-stream", "ms", stream),
    ...(queued.length === 0 ? [] : [figure("cancel", peer, "while queued", "ms", queued)]),
  ]);
  return {
    rows: [
      within("before the first byte", own.first),
      within("mid-stream", own.stream),
      within("while queued", own.queued),
      judge("clients that left the queue and were sent to LM Studio", own.sent, "", 0, { atMost: 0 }),
    ],
    figures,
  };
}

export async function startRow(context: PeerContext, { starts }: Sizes): Promise<OwnResult> {
  // The first one reads the program from a cold file.
  await measureColdStart(context);
  const times: number[] = [];
  for (let i = 0; i < starts; i++) times.push(await measureColdStart(context));
  return {
    rows: [judge("cold start to /healthz", spread(times).median, "ms", 0, { atMost: 250 })],
    figures: [figure("start", "lmstack", "cold start to /healthz", "ms", times)],
  };
}
