/** The supervisor's unix socket: JSON lines. A client says `poke`; from then on it gets progress and every new status. */
import { rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Host } from "../host.ts";
import type { SupervisorStatus } from "./status.ts";

export type FromSupervisor =
  | { readonly status: SupervisorStatus }
  | { readonly progress: string }
  /** Answer to a poke: statuses with `seen` of at least this number were observed after it. */
  | { readonly poked: number };

export interface ToSupervisor {
  readonly do: "poke";
}

export function socketPath(host: Host): string {
  return join(host.paths.run, "supervisor.sock");
}

export interface Channel {
  broadcast(message: FromSupervisor): void;
  close(): Promise<void>;
}

/** `onMessage` returns what the client gets at once. */
export async function openChannel(host: Host, onMessage: (message: ToSupervisor) => FromSupervisor): Promise<Channel> {
  const path = socketPath(host);
  // The supervisor's lock is held, so a socket that is still there belongs to a dead one.
  await rm(path, { force: true });
  const clients = new Set<Socket>();
  const server: Server = createServer((socket) => {
    clients.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => clients.delete(socket));
    createInterface({ input: socket })
      .on("error", () => {})
      .on("line", (line) => {
        const message = parse<ToSupervisor>(line);
        if (message !== null) send(socket, onMessage(message));
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    broadcast: (message) => {
      for (const client of clients) send(client, message);
    },
    close: async () => {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(path, { force: true });
    },
  };
}

/** Calls `onMessage` until it returns true, throws, or the connection ends. True when it was satisfied. Rejects when it threw or nobody listens. */
export function converse(
  host: Host,
  message: ToSupervisor,
  timeoutMs: number,
  onMessage: (message: FromSupervisor) => boolean,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath(host));
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    let satisfied = false;
    socket.on("error", reject);
    socket.on("connect", () => send(socket, message));
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(satisfied);
    });
    createInterface({ input: socket })
      .on("error", () => {})
      .on("line", (line) => {
        const received = parse<FromSupervisor>(line);
        if (received === null || satisfied) return;
        try {
          satisfied = onMessage(received);
        } catch (error) {
          reject(error);
          socket.destroy();
        }
        if (satisfied) socket.destroy();
      });
  });
}

function send(socket: Socket, message: FromSupervisor | ToSupervisor): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
}

function parse<T>(line: string): T | null {
  try {
    return JSON.parse(line) as T;
  } catch {
    return null;
  }
}
