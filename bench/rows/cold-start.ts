/** From the start of the process to its first answer on `/healthz`. */
import { setTimeout } from "node:timers/promises";
import { endChild, whenReady } from "../children.ts";
import { LightClient } from "../load/light-client.ts";
import { getRequest } from "../load/request.ts";
import { startProxy } from "../peers/lmstack.ts";
import type { PeerContext } from "../peers/peer.ts";

/** Milliseconds. */
export async function measureColdStart(context: PeerContext): Promise<number> {
  const { port, child, spawned } = await startProxy(context);
  try {
    await whenReady(child, "the proxy", healthy(port));
    return performance.now() - spawned;
  } finally {
    await endChild(child);
  }
}

async function healthy(port: number): Promise<void> {
  const request = getRequest("/healthz");
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; ) {
    const connection = new LightClient(port);
    const answer = await connection.send(request).catch(() => undefined);
    connection.destroy();
    if (answer?.status === 200) return;
    await setTimeout(2);
  }
  throw new Error("/healthz has not answered within 10 s");
}
