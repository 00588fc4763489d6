/** What is measured: something that listens on a loopback port and passes requests on to LM Studio's stand-in. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout } from "node:timers/promises";

export interface PeerContext {
  readonly backendPort: number;
  readonly core: number | undefined;
  /** For configurations and logs; gone after the run. */
  readonly folder: string;
}

export interface RunningPeer {
  readonly port: number;
  /** Undefined for the stand-in itself, which is asked directly. */
  readonly process: ChildProcess | undefined;
}

export interface Peer {
  readonly name: PeerName;
  /** It is so slow, beside the others, that it gets a tenth of the requests. */
  readonly slow: boolean;
  /** Installs what is missing; resolves with the version. */
  prepare(): Promise<string>;
  start(context: PeerContext): Promise<RunningPeer>;
}

export const peerNames = ["direct", "nginx", "haproxy", "lmstack", "ancestor", "litellm"] as const;
export type PeerName = (typeof peerNames)[number];

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Resolves once something accepts connections. Rejects after `seconds`. */
export async function accepting(port: number, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    } finally {
      socket.destroy();
    }
    await setTimeout(20);
  }
}
