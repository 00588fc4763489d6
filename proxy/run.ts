/** The running proxy: its parts put together, what it listens on, and how it ends. */
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Logger } from "pino";
import { Pool } from "undici";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { Gatekeeper } from "./access/gatekeeper.ts";
import { Admission } from "./admission/admission.ts";
import { asksForKeys, createGateway } from "./gateway.ts";
import { createHttpServer, serveWith } from "./http-server.ts";
import { openAdminSocket } from "./life/admin-socket.ts";
import { FrontDoor } from "./life/front-door.ts";
import { OwnPaths } from "./own-paths.ts";
import { Eyes } from "./seeing/eyes.ts";
import { Catalog } from "./upstream/catalog.ts";
import { readiness } from "./upstream/readiness.ts";
import { slotMismatchTeller, slotsOf } from "./upstream/slots.ts";

/** The configuration in force. A reload puts another object in place; the one that a request began with stays its own. */
export interface LiveConfig {
  readonly current: ProxyConfig;
  /** Why a newer file was not taken. */
  readonly problem: string | undefined;
  onChange(listener: () => void): void;
}

export interface RunningProxy {
  readonly address: AddressInfo;
  readonly adminSocket: string;
  /** Ends it gracefully; resolves when the last connection is gone or `drainSeconds` are over. Safe to call twice. */
  readonly drain: () => Promise<void>;
}

const connectMilliseconds = 5_000;
/** Of the package, told by metrics and status page. */
const version = "0.1.0";

/** `folder` is where the admin socket goes. Rejects when a listener cannot be opened. */
export async function startProxy(live: LiveConfig, folder: string, log: Logger): Promise<RunningProxy> {
  const { origin } = new URL(live.current.upstream);
  const upstream = new Pool(origin, {
    connect: { timeout: connectMilliseconds },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const catalog = new Catalog(upstream);
  const admission = new Admission({
    limits: () => live.current.limits,
    slotsOf: (model) => slotsOf(live.current.models, catalog, model),
  });
  const tellMismatches = slotMismatchTeller(log);
  catalog.onAnswer(() => {
    tellMismatches(live.current.models, catalog);
    admission.slotsChanged();
  });
  live.onChange(() => admission.slotsChanged());
  const gatekeeper = new Gatekeeper({
    keys: () => live.current.keys,
    anonymous: () => !asksForKeys(live.current),
    wrongKeys: () => live.current.limits.wrongKeys,
  });
  const server = createHttpServer(live.current.limits, log);
  const door = new FrontDoor(server);
  const ready = () => readiness(live.current, () => catalog.loaded(), door.draining);
  const eyes = new Eyes({
    log,
    folder,
    version,
    knows: (model) => Object.hasOwn(live.current.models, model) || catalog.known(model) !== undefined,
    captures: () => live.current.captures,
    queues: () => admission.snapshot(),
    connections: () => door.connections,
    ready: async () => (await ready()).ready,
  });
  const ownPaths = new OwnPaths({
    isDraining: () => door.draining,
    health: () => ({ status: door.draining ? "draining" : "ok" }),
    readiness: ready,
    metrics: async (_request, response) => {
      response.setHeader("content-type", eyes.metrics.contentType).end(await eyes.metrics.text());
    },
    page: () => {},
    live: () => {},
    admin: () => {},
  });
  const gateway = createGateway({
    settings: live,
    upstream,
    origin,
    log,
    gatekeeper,
    admission,
    catalog,
    ownPaths,
    observer: eyes,
    isDraining: () => door.draining,
    isAdmin: (request) => door.isAdmin(request),
  });
  serveWith(server, gateway);

  const adminSocket = await openAdminSocket(door, path.resolve(folder));
  const { host, port } = live.current.listen;
  // Lets a successor listen on the same port while this process finishes. macOS has the option but does not balance.
  const reusePort = process.platform === "linux";
  let address: AddressInfo;
  try {
    address = (await door.listen({ host, port, reusePort }, "clients")) as AddressInfo;
  } catch (error) {
    await door.drain(0);
    await upstream.destroy();
    throw error;
  }

  let draining: Promise<void> | undefined;
  const drain = () => {
    draining ??= (async () => {
      const { drainSeconds } = live.current;
      log.info({ drainSeconds }, "draining: nothing new is accepted");
      const cut = await door.drain(drainSeconds * 1_000);
      if (cut > 0) log.warn({ connections: cut }, "connections were cut because drainSeconds were over");
      admission.close();
      eyes.close();
      await upstream.destroy();
    })();
    return draining;
  };
  return { address, adminSocket, drain };
}
