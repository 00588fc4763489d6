/** The running proxy: opens what it listens on, says so, and drains when it is told to end. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Logger } from "pino";
import { Pool } from "undici";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { createGateway } from "./gateway.ts";
import { openAdminSocket } from "./life/admin-socket.ts";
import { FrontDoor } from "./life/front-door.ts";

export interface RunningProxy {
  readonly address: AddressInfo;
  readonly adminSocket: string;
  /** Ends it gracefully; resolves when the last connection is gone or `drainSeconds` are over. Safe to call twice. */
  readonly drain: () => Promise<void>;
}

const keepAliveMilliseconds = 75_000;
const connectMilliseconds = 5_000;

/** `folder` is where the admin socket goes. Rejects when a listener cannot be opened. */
export async function startProxy(config: ProxyConfig, folder: string, log: Logger): Promise<RunningProxy> {
  const upstream = new Pool(new URL(config.upstream).origin, {
    connect: { timeout: connectMilliseconds },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const server = http.createServer({ keepAliveTimeout: keepAliveMilliseconds });
  const door = new FrontDoor(server);
  const gateway = createGateway({
    config,
    upstream,
    log,
    isDraining: () => door.draining,
    isAdmin: (request) => door.isAdmin(request),
  });
  server.on("request", gateway);

  const adminSocket = await openAdminSocket(door, path.resolve(folder));
  const { host, port } = config.listen;
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
      log.info({ drainSeconds: config.drainSeconds }, "draining: nothing new is accepted");
      const cut = await door.drain(config.drainSeconds * 1_000);
      if (cut > 0) log.warn({ connections: cut }, "connections were cut because drainSeconds were over");
      await upstream.destroy();
    })();
    return draining;
  };
  return { address, adminSocket, drain };
}
