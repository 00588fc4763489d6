import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Change, ProxyGateDocument } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { lastLine } from "../command.ts";
import { type Container, containerById, containersOf, docker, dockerOrFail } from "../docker.ts";
import { HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { send } from "../http.ts";
import { pause } from "../pause.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { adminSockets, listensStill } from "./admin-sockets.ts";
import { removeOlderImages } from "./proxy-image.ts";

/** For the declared proxy to have its port back from one that should not be there. */
const takeOverMs = 10_000;

/** Waits until the container is healthy. A new one that never is, is stopped, and whatever served before goes on serving. */
export async function convergeProxyGate(host: Host, document: ProxyGateDocument): Promise<Change[]> {
  const changes: Change[] = [];
  const container = await mustExist(host, document.containerId);
  if (!container.running) {
    await start(host, container.id);
    changes.push({ what: `container ${short(container.id)}`, from: "stopped", to: "started" });
  }
  await awaitHealth(host, container.id, document.healthySeconds);
  const last = await gatedBefore(host);
  for (const orphan of await orphans(host, document.stack, [container.id, last])) {
    await letGo(host, orphan);
    changes.push({
      what: `left-over container ${short(orphan.id)}`,
      from: "there",
      to: orphan.running ? "ending" : null,
    });
  }
  await awaitTakeOver(host, container, last);
  await endStandIns(host, container, await containersOf(host, document.stack));
  await writeJson(recordPath(host), { containerId: container.id });
  await removeOlderImages(host);
  await storeToken(host, "proxy-gate", document.token);
  return changes;
}

async function start(host: Host, id: string): Promise<void> {
  const started = await docker(host, ["start", id]);
  if (started.code === 0) return;
  throw new HostFailure(
    "unhealthy",
    `the proxy's container ${short(id)} does not start: ${lastLine(started.stderr) || "no answer in time"}`,
    "after an upgrade of the NVIDIA driver the host has to be rebooted; `npx lmstack status` tells whether the proxy serves without the GPU meanwhile",
  );
}

/** What runs finishes its answers and ends by itself; the next convergence finds it stopped. */
async function letGo(host: Host, orphan: Container): Promise<void> {
  if (!orphan.running) {
    await dockerOrFail(host, ["rm", "-f", orphan.id], 60_000);
    return;
  }
  // A second signal would cut its streams off.
  if (orphan.leaving) return;
  // Or Docker would start it again when it has ended.
  await dockerOrFail(host, ["update", "--restart=no", orphan.id]);
  await dockerOrFail(host, ["kill", "--signal=TERM", orphan.id]);
}

/**
 * A newcomer takes over by itself. Whoever still accepts connections beside it is told to drain, which also gives the port back where it was
 * taken from the declared one: no orphan keeps taking connections.
 */
async function awaitTakeOver(host: Host, container: Container, last: string | null): Promise<void> {
  const own = await ownSocket(host, container);
  const deadline = Date.now() + takeOverMs;
  const told = new Set<string>();
  for (;;) {
    const sockets = await adminSockets(host);
    const states = await Promise.all(sockets.map(listensStill));
    const listening = sockets.filter((_, index) => states[index]);
    const declared = own ?? listening[0];
    const others = listening.filter((socket) => socket !== declared && !told.has(socket));
    if (others.length === 0 && (own === undefined || listening.includes(own))) return;
    // Or Docker would start it again when it has drained, as a newcomer.
    if (others.length > 0 && last !== null && last !== container.id) {
      await docker(host, ["update", "--restart=no", last]);
    }
    for (const socketPath of others) {
      told.add(socketPath);
      await send({ socketPath }, "POST", "/-/drain", null, 5000).catch(() => null);
    }
    if (Date.now() > deadline) {
      throw new HostFailure(
        "unhealthy",
        `the proxy container ${short(container.id)} is healthy but accepts no connections: another proxy has its port`,
        `look at \`docker ps --filter label=dev.lmstack.role=proxy\` on the host, stop the one that is too much, then run up again`,
      );
    }
    await pause(100);
  }
}

/** Lets the proxies without the GPU finish and end, once the declared one listens; whether it does. May be asked again and again. */
export async function endStandIns(host: Host, declared: Container, containers: readonly Container[]): Promise<boolean> {
  const own = await ownSocket(host, declared);
  if (own === undefined || !(await listensStill(own))) return false;
  for (const standIn of containers.filter(({ withoutGpu, running }) => withoutGpu && running)) {
    const socketPath = await ownSocket(host, standIn);
    if (socketPath !== undefined) await send({ socketPath }, "POST", "/-/drain", null, 5000).catch(() => null);
  }
  return true;
}

/** Where the container's proxy listens for its host, by what its own check prints; undefined when it is of an older version. */
async function ownSocket(host: Host, { id, check }: Container): Promise<string | undefined> {
  if (check === null) return undefined;
  const { stdout } = await docker(host, ["exec", id, ...check], 5000);
  const name = /admin-[0-9a-f]+\.sock/.exec(stdout)?.[0];
  return name === undefined ? undefined : join(host.paths.proxy, name);
}

async function mustExist(host: Host, id: string): Promise<Container> {
  const container = await containerById(host, id);
  if (container !== null) return container;
  throw new HostFailure(
    "unhealthy",
    `the proxy's container ${short(id)} does not exist on this host (any more)`,
    "run `pulumi refresh`, then up again: it will be made anew",
  );
}

async function awaitHealth(host: Host, id: string, withinSeconds: number): Promise<void> {
  const deadline = Date.now() + withinSeconds * 1000;
  const say = paced(host.say);
  for (;;) {
    const container = await mustExist(host, id);
    const { running, restarting, health, exitCode } = container;
    if (running && (health === "healthy" || (await passesOwnCheck(host, container)))) return;
    const ended = !running && !restarting;
    if (ended || Date.now() > deadline) {
      const found = ended ? `ended with code ${exitCode}` : `is ${health} after ${withinSeconds} s`;
      await giveUp(host, id, found);
    }
    say(`waiting for the proxy to become healthy (${health})`);
    await pause(200);
  }
}

/** Docker runs a check only every half minute, since each one starts a process; a gate cannot wait for its turn. */
async function passesOwnCheck(host: Host, { id, check }: Container): Promise<boolean> {
  return check !== null && (await docker(host, ["exec", id, ...check], 5000)).code === 0;
}

async function giveUp(host: Host, id: string, found: string): Promise<never> {
  const logs = await docker(host, ["logs", "--tail", "20", id]);
  await docker(host, ["stop", "-t", "5", id]);
  const lines = `${logs.stdout}${logs.stderr}`.trim().split("\n").slice(-20).join(" | ");
  throw new HostFailure(
    "unhealthy",
    `the new proxy container ${short(id)} ${found}, instead of becoming healthy; it was stopped. Its last lines: ${lines || "none"}`,
    "the proxy that served before still serves; correct the image or the proxy's configuration, then run up again",
  );
}

/** Of this stack, and neither the declared one nor the one gated last: that one is Pulumi's to remove. */
async function orphans(host: Host, stack: string, keep: readonly (string | null)[]): Promise<Container[]> {
  return (await containersOf(host, stack)).filter(({ id }) => !keep.includes(id));
}

export async function removeProxyGate(host: Host, stack: string): Promise<void> {
  const last = await gatedBefore(host);
  for (const orphan of await orphans(host, stack, [last])) await docker(host, ["rm", "-f", orphan.id], 60_000);
  await forgetGated(host);
  await dropToken(host, "proxy-gate");
}

export async function forgetGated(host: Host): Promise<void> {
  await rm(recordPath(host), { force: true });
}

/** The container that was let through last. */
export async function gatedBefore(host: Host): Promise<string | null> {
  return (await readJson<{ containerId: string }>(recordPath(host)))?.containerId ?? null;
}

const short = (id: string) => id.slice(0, 12);
const recordPath = (host: Host) => join(host.paths.state, "gated.json");
