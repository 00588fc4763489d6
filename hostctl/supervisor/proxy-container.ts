/**
 * Starts the proxy's container again where Docker gives up: one that could not start (a broken GPU hook) or that died with dockerd stays
 * ended, whatever its restart policy says.
 */
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { dockerLabels } from "../../infra/spec/host-layout.ts";
import { readJson } from "../atomic-file.ts";
import { lastLine } from "../command.ts";
import { type Container, docker, parseContainers } from "../docker.ts";
import type { Host } from "../host.ts";

/** Docker itself tries first, and a redeploy has its moments without a listener. */
const silencesBefore = 2;

/** The one that has to run and does not. Null where one runs, or where it is not plain which one is meant. */
export function endedContainer(containers: readonly Container[]): Container | null {
  const staying = containers.filter(({ leaving }) => !leaving);
  const [only] = staying;
  return only === undefined || staying.length > 1 || only.running || only.restarting ? null : only;
}

/** Asks the proxy's port again and again until `signal`, and Docker only when nobody listens there. Never rejects. */
export async function keepProxyContainer(
  host: Host,
  say: (line: string) => void,
  signal: AbortSignal,
  everyMs = 5000,
): Promise<void> {
  let silences = 0;
  while (!signal.aborted) {
    const where = await declaredAddress(host);
    silences = where === null || (await listens(where)) ? 0 : silences + 1;
    if (silences >= silencesBefore && !signal.aborted) await startEnded(host, say);
    await setTimeout(everyMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

async function startEnded(host: Host, say: (line: string) => void): Promise<void> {
  const label = `label=${dockerLabels.role}=proxy`;
  const { code, stdout } = await docker(host, ["ps", "-aq", "--no-trunc", "--filter", label], 5000);
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (code !== 0 || ids.length === 0) return;
  const inspected = await docker(host, ["inspect", "--type", "container", ...ids], 5000);
  const ended = endedContainer(parseContainers(inspected.stdout));
  if (ended === null) return;
  say("the proxy's container had ended: starting it again");
  const started = await docker(host, ["start", ended.id]);
  if (started.code !== 0) say(`the proxy's container does not start: ${lastLine(started.stderr)}`);
}

async function declaredAddress(host: Host): Promise<{ host: string; port: number } | null> {
  const config = await readJson<{ listen?: { host?: string; port?: number } }>(join(host.paths.proxy, "proxy.json"));
  const { host: address = "127.0.0.1", port } = config?.listen ?? {};
  return port === undefined ? null : { host: ["0.0.0.0", "::"].includes(address) ? "127.0.0.1" : address, port };
}

function listens(where: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ ...where, timeout: 2000 });
    const answer = (there: boolean) => {
      socket.destroy();
      resolve(there);
    };
    socket.once("connect", () => answer(true));
    // Full, not gone.
    socket.once("timeout", () => answer(true));
    socket.once("error", () => answer(false));
  });
}
