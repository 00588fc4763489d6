/** The running proxy: its parts put together, what it listens on, and how it ends. */
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Logger } from "pino";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { Gatekeeper } from "./access/gatekeeper.ts";
import { asksForKeys } from "./access/key-headers.ts";
import { handleAdmin } from "./admin/api.ts";
import { Admission } from "./admission/admission.ts";
import { createGateway } from "./gateway.ts";
import { createHttpServer, serveWith } from "./http-server.ts";
import { openAdminSocket } from "./life/admin-socket.ts";
import { FrontDoor } from "./life/front-door.ts";
import { Succession, takeOver } from "./life/handover.ts";
import { OwnPaths } from "./own-paths.ts";
import { StatusPage } from "./page/page.ts";
import { ProxySources } from "./page/sources.ts";
import { Searcher } from "./search/searcher.ts";
import { Eyes } from "./seeing/eyes.ts";
import { LearnedFile } from "./thinking/learned-file.ts";
import { StrategyMemory } from "./thinking/memory.ts";
import { Catalog } from "./upstream/catalog.ts";
import { connectionsTo } from "./upstream/connections.ts";
import { Instances } from "./upstream/instances.ts";
import { LoadWatch } from "./upstream/load-watch.ts";
import { declaredModels, isDeclared, readiness } from "./upstream/readiness.ts";
import { slotMismatchTeller, slotsOf } from "./upstream/slots.ts";

/** The configuration in force. A reload puts another object in place; the one that a request began with stays its own. */
export interface LiveConfig {
  readonly current: ProxyConfig;
  /** Why a newer file was not taken. */
  readonly problem: string | undefined;
  onChange(listener: () => void): void;
  reload(): Promise<void>;
}

export interface RunningProxy {
  readonly address: AddressInfo;
  readonly adminSocket: string;
  /** Ends it gracefully; resolves when the last connection is gone or `drainSeconds` are over. Safe to call twice. */
  readonly drain: () => Promise<void>;
}

const connectMilliseconds = 5_000;
/**
 * A body that has come goes up in one go: with undici's own 64 KB each of its pieces would wait until the one before is gone. What comes back is read
 * no faster than clients take it.
 */
const socketBuffers = { highWaterMark: undefined, writableHighWaterMark: 16_777_216, readableHighWaterMark: 65_536 };
/** Of the package, told by metrics and status page. */
const version = "0.1.0";

export interface StartOptions {
  /** A socket that somebody else opened and listens on: a service manager, or the parent process. */
  readonly inheritedSocket?: number | undefined;
  /** Asked for by the admin call `drain`; the process ends after it. */
  readonly onDrained?: () => void;
}

/**
 * `folder` is where the admin socket goes, and where predecessors are found, from whom this one takes over. Rejects when a listener cannot be
 * opened.
 */
export async function startProxy(
  live: LiveConfig,
  folder: string,
  log: Logger,
  { inheritedSocket, onDrained }: StartOptions = {},
): Promise<RunningProxy> {
  const { origin } = new URL(live.current.upstream);
  const upstream = connectionsTo(origin, {
    connect: { timeout: connectMilliseconds, ...socketBuffers },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const instances = new Instances(() => live.current.instances);
  const catalog = new Catalog(upstream, undefined, () => instances.serving);
  const admission = new Admission({
    limits: () => live.current.limits,
    slotsOf: (model) => slotsOf(live.current.models, catalog, model),
    isMissing: (model) => isDeclared(live.current.models, model) && catalog.lacks(model),
    onMissed: () => loads.look(),
  });
  const loads = new LoadWatch(catalog, () => admission.isMissed);
  const tellMismatches = slotMismatchTeller(log);
  catalog.onAnswer(() => {
    tellMismatches(live.current.models, catalog);
    admission.slotsChanged();
  });
  live.onChange(() => {
    admission.slotsChanged();
    // Another instance may answer now, with slots of its own.
    void catalog.loaded().catch(() => {});
  });
  const gatekeeper = new Gatekeeper({
    keys: () => live.current.keys,
    anonymous: () => !asksForKeys(live.current),
    wrongKeys: () => live.current.limits.wrongKeys,
  });
  const server = createHttpServer(live.current.limits, log);
  const door = new FrontDoor(server, () => live.current.limits, log);
  const succession = new Succession(door, admission, log);
  const ready = () => readiness(live.current, () => catalog.loaded(), door.draining);
  const eyes = new Eyes({
    log,
    folder,
    version,
    knows: (model) => Object.hasOwn(live.current.models, model) || catalog.known(model) !== undefined,
    captures: () => live.current.captures,
    // A declared model that nobody asks for is told from one that is not there.
    queues: () => admission.snapshot(declaredModels(live.current.models)),
    connections: () => door.connections,
    ready: async () => (await ready()).ready,
  });
  const page = new StatusPage(
    new ProxySources({
      config: () => live.current,
      problem: () => live.problem,
      isEnding: () => door.draining,
      admission,
      catalog,
      slotsOf: (model) => slotsOf(live.current.models, catalog, model),
      series: eyes.series,
      gpus: () => eyes.gpu.latest(),
      openStreams: () => eyes.openStreams,
      connections: () => door.connections,
      version,
    }),
  );
  const ownPaths = new OwnPaths({
    health: () => ({ status: door.draining ? "draining" : "ok", listening: door.listening, pid: process.pid }),
    readiness: async () => ({ ...(await ready()), ...(live.problem === undefined ? {} : { problem: live.problem }) }),
    metrics: async (_request, response) => {
      response.setHeader("content-type", eyes.metrics.contentType).end(await eyes.metrics.text());
    },
    page: async (request, response) => {
      // So that the cards are there at the next look.
      void eyes.gpu.facts();
      await page.serve(request, response);
    },
    live: (request, response) => page.live(request, response),
    admin: (request, response, { admin }) =>
      handleAdmin(request, response, admin, {
        admission,
        instances: () => ({ serving: instances.serving, running: instances.running }),
        usage: () => eyes.usage.report(),
        captures: () => eyes.captures.list(),
        reload: async () => {
          await live.reload();
          return live.problem;
        },
        drain: () => void drain().then(onDrained),
        handOver: (...call) => succession.handOver(...call),
      }),
  });
  const searcher = new Searcher(log, (outcome) => eyes.searched(outcome));
  const learned = new LearnedFile(folder, log);
  const gateway = createGateway({
    strategies: new StrategyMemory(learned.read(), (all) => learned.write(all)),
    settings: live,
    upstream,
    origin,
    log,
    gatekeeper,
    admission,
    catalog,
    instances,
    searcher,
    ownPaths,
    observer: eyes,
    isLeaving: () => !door.listening,
    isAdmin: (request) => door.isAdmin(request),
  });
  serveWith(server, gateway);

  const adminSocket = await openAdminSocket(door, path.resolve(folder));
  const { host, port } = live.current.listen;
  // Lets a successor listen on the same port while this process finishes. macOS has the option but does not balance.
  const reusePort = process.platform === "linux";
  let address: AddressInfo;
  try {
    address = await door.listen(inheritedSocket === undefined ? { host, port, reusePort } : { fd: inheritedSocket });
  } catch (error) {
    await door.drain(0);
    eyes.close();
    await Promise.all([upstream.destroy(), searcher.close()]);
    throw error;
  }
  succession.place = address;
  const giveBack = await takeOver({ socket: adminSocket, place: address, admission, log });

  let draining: Promise<void> | undefined;
  const drain = () => {
    draining ??= (async () => {
      const { drainSeconds } = live.current;
      log.info({ drainSeconds }, "draining: nothing new is accepted");
      page.close();
      // A predecessor that still lives listens again before this process stops.
      await giveBack();
      const cut = await door.drain(drainSeconds * 1_000);
      if (cut > 0) log.warn({ connections: cut }, "connections were cut because drainSeconds were over");
      loads.close();
      admission.close();
      eyes.close();
      await Promise.all([upstream.destroy(), searcher.close(), learned.settled()]);
    })();
    return draining;
  };
  return { address, adminSocket, drain };
}
