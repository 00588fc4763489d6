import { join } from "node:path";
import { hostLayout } from "../infra/spec/host-layout.ts";
import { readJson, writeJson } from "./atomic-file.ts";
import type { Host } from "./host.ts";
import { isLoopback, listeners } from "./listeners.ts";
import { greeting } from "./lmstudio/http.ts";
import { daemonStatus, type LoadedInstance, ps, serverStatus } from "./lmstudio/lms.ts";
import { markOf, type ProcessMark } from "./process.ts";

/** LM Studio as it was when lmstack first saw it on a host where somebody else had installed it. */
export interface Adopted {
  readonly at: string;
  readonly version: string | null;
  readonly daemonRunning: boolean;
  /** The one that ran; absent in what an earlier lmstack wrote. */
  readonly daemon?: ProcessMark | null;
  readonly server: { readonly port: number; readonly bind: string } | null;
  readonly instances: readonly LoadedInstance[];
}

export async function readAdopted(host: Host): Promise<Adopted | null> {
  return await readJson<Adopted>(join(host.home, hostLayout.adopted));
}

/** Written before the first change, once: `remove` gives back what stands here. */
export async function recordAdoption(host: Host, version: string | null): Promise<Adopted> {
  const known = await readAdopted(host);
  if (known !== null) return known;
  const { running, pid } = await daemonStatus(host);
  const adopted: Adopted = {
    at: new Date().toISOString(),
    version,
    daemonRunning: running,
    daemon: running && pid !== null ? markOf(pid) : null,
    server: running ? await serverAsItIs(host) : null,
    instances: running ? await ps(host) : [],
  };
  await writeJson(host.paths.adopted, adopted);
  return adopted;
}

async function serverAsItIs(host: Host): Promise<Adopted["server"]> {
  const { port } = await serverStatus(host);
  if (port === null || (await greeting(port)) !== "yes") return null;
  const open = (await listeners(host, port)).find((listener) => !isLoopback(listener.address));
  return { port, bind: open === undefined ? "127.0.0.1" : open.address };
}
