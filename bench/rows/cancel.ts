/** A client goes away: how long until LM Studio sees it, or, for one that still waits for a slot, until its place is free. */
import { randomUUID } from "node:crypto";
import { LightClient } from "../load/light-client.ts";
import { chatBody, getRequest, postRequest } from "../load/request.ts";
import type { RunningPeer } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { microseconds } from "../wire/clock.ts";

const path = "/v1/chat/completions";

/** Milliseconds until the stand-in sees the connection close, of each of `times` requests that LM Studio has not answered yet. */
export async function cancelBeforeFirstByte(peer: RunningPeer, standIn: StandIn, times: number): Promise<number[]> {
  await standIn.answer({ tokens: -1, watch: true });
  return await repeated(times, async (id) => {
    const arrived = standIn.sight("arrived", id);
    const client = open(peer, id, "bench");
    await arrived;
    return await untilClosed(client, standIn, id);
  });
}

/** The same in the middle of a stream, between two tokens. */
export async function cancelMidStream(peer: RunningPeer, standIn: StandIn, times: number): Promise<number[]> {
  await standIn.answer({ tokens: 1_000_000, gapMs: 20, watch: true });
  return await repeated(times, async (id) => {
    const client = new LightClient(peer.port);
    await new Promise<void>((resolve, reject) => {
      let pieces = 0;
      const onData = () => {
        pieces++;
        if (pieces === 2) resolve();
      };
      client.send(postRequest(path, chatBody("bench", true), id), onData).catch(reject);
    });
    return await untilClosed(client, standIn, id);
  });
}

export interface QueuedResult {
  /** Milliseconds until the queue is seen to be empty: an upper limit, since looking takes time too. */
  readonly times: readonly number[];
  /** Requests of clients that had gone away, sent to LM Studio all the same. */
  readonly sent: number;
}

/** lmstack only: `bench-one` has one slot, which another request holds. */
export async function cancelWhileQueued(peer: RunningPeer, standIn: StandIn, times: number): Promise<QueuedResult> {
  await standIn.answer({ tokens: -1, watch: true });
  const gone = new Set<string>();
  let sent = 0;
  const count = ({ id }: { id: string }) => {
    if (gone.has(id)) sent++;
  };
  standIn.on("arrived", count);
  const watcher = new LightClient(peer.port);
  const holder = randomUUID();
  const held = standIn.sight("arrived", holder);
  const holding = send(peer, holder, "bench-one");
  await held;
  const result = await repeated(times, async (id) => {
    const client = open(peer, id, "bench-one");
    await untilQueued(watcher, 1);
    gone.add(id);
    const left = microseconds();
    client.destroy();
    await untilQueued(watcher, 0);
    return (microseconds() - left) / 1_000;
  });
  // The slot becomes free with nobody left who wants it: the next request gets it, and the ones that left are not heard of again.
  standIn.finish(holder);
  await holding;
  const next = randomUUID();
  const arrived = standIn.sight("arrived", next);
  const answered = send(peer, next, "bench-one");
  await arrived;
  standIn.finish(next);
  await answered;
  standIn.off("arrived", count);
  watcher.destroy();
  return { times: result, sent };
}

async function repeated(times: number, once: (id: string) => Promise<number>): Promise<number[]> {
  const results: number[] = [];
  for (let i = 0; i < times; i++) results.push(await once(randomUUID()));
  return results;
}

async function untilClosed(client: LightClient, standIn: StandIn, id: string): Promise<number> {
  const closed = standIn.sight("closed", id);
  const left = microseconds();
  client.destroy();
  return ((await closed).at - left) / 1_000;
}

async function send(peer: RunningPeer, id: string, model: string): Promise<void> {
  const client = new LightClient(peer.port);
  await client.send(postRequest(path, chatBody(model, false), id));
  client.destroy();
}

/** A request whose answer nobody waits for. */
function open(peer: RunningPeer, id: string, model: string): LightClient {
  const client = new LightClient(peer.port);
  client.send(postRequest(path, chatBody(model, false), id)).catch(() => {});
  return client;
}

async function untilQueued(watcher: LightClient, wanted: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    let text = "";
    await watcher.send(getRequest("/metrics"), (bytes) => {
      text += bytes.toString("latin1");
    });
    const queued = Number(/^lmstack_queued\{model="bench-one"\} (\d+)/m.exec(text)?.[1] ?? 0);
    if (queued === wanted) return;
    if (performance.now() > deadline)
      throw new Error(`lmstack_queued of bench-one is ${queued}, expected ${wanted} within 10 s`);
  }
}
