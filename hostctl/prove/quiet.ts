/** Whether somebody uses the endpoint, by what its proxies tell: a probe is for the hours in which nobody would notice a fault. */
import * as z from "zod";
import type { Host } from "../host.ts";
import { get } from "../http.ts";
import { adminSockets } from "../resources/admin-sockets.ts";

const usage = z.object({ usage: z.array(z.object({ key: z.string(), lastUse: z.iso.datetime() })) });
const instances = z.object({ running: z.record(z.string(), z.number()) });

/** Rows of requests that came by the admin socket, as the supervisor's own do, or were refused. */
const nobody = "none";
const answerMs = 2000;

/** True when nothing runs and no client began a request in the last `quietMs`. False also when a proxy does not say. */
export async function isQuiet(host: Host, quietMs: number): Promise<boolean> {
  const sockets = await adminSockets(host);
  const quiet = await Promise.all(sockets.map((socketPath) => isQuietAt(socketPath, quietMs)));
  return quiet.length > 0 && quiet.every(Boolean);
}

async function isQuietAt(socketPath: string, quietMs: number): Promise<boolean> {
  const [used, running] = await Promise.all([
    asked(socketPath, "/-/usage", usage),
    asked(socketPath, "/-/instances", instances),
  ]);
  if (used === null || running === null || Object.values(running.running).some((count) => count > 0)) return false;
  const since = Date.now() - quietMs;
  return used.usage.every(({ key, lastUse }) => key === nobody || Date.parse(lastUse) < since);
}

async function asked<T>(socketPath: string, path: string, schema: z.ZodType<T>): Promise<T | null> {
  const answer = await get({ socketPath }, path, answerMs);
  if (answer?.status !== 200) return null;
  try {
    return schema.parse(JSON.parse(answer.body));
  } catch {
    return null;
  }
}
