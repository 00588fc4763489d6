/**
 * Accepting and letting go of connections. Listeners are plain `net.Server`s that hand their sockets to the HTTP server, because
 * `http.Server.close()` also closes connections that were accepted and have not sent a byte yet: during a hand-over those are requests.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import net from "node:net";

interface Connection {
  running: number;
  served: number;
  /** `bytesRead` when the last answer ended: more than that means that the next request is on its way. */
  bytesAtRest: number;
}

/** Milliseconds that an accepted connection gets for its first byte once nothing new is accepted. */
const firstByteMilliseconds = 2_000;

export class FrontDoor {
  readonly #http: Server;
  readonly #listeners: net.Server[] = [];
  readonly #connections = new Map<net.Socket, Connection>();
  readonly #admin = new WeakSet<net.Socket>();
  #draining = false;
  #whenEmpty: (() => void) | undefined;

  constructor(http: Server) {
    this.#http = http;
    http.on("request", (request: IncomingMessage, response: ServerResponse) => this.#track(request.socket, response));
  }

  get draining(): boolean {
    return this.#draining;
  }

  get connections(): number {
    return this.#connections.size;
  }

  isAdmin(request: IncomingMessage): boolean {
    return this.#admin.has(request.socket);
  }

  /** Resolves with the address once the listener is bound; rejects with the system's error. */
  async listen(options: net.ListenOptions, kind: "clients" | "admin"): Promise<net.AddressInfo | string> {
    const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket, kind));
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(options, () => {
        listener.off("error", reject);
        resolve();
      });
    });
    this.#listeners.push(listener);
    return listener.address() as net.AddressInfo | string;
  }

  /** Stops accepting, lets running requests end, and resolves with the number of connections that had to be cut at the deadline. */
  async drain(milliseconds: number): Promise<number> {
    this.#draining = true;
    for (const listener of this.#listeners) listener.close();
    for (const [socket, connection] of this.#connections) {
      if (connection.served > 0 && isAtRest(socket, connection)) socket.destroySoon();
    }
    const fresh = setTimeout(() => {
      for (const [socket, connection] of this.#connections) {
        if (connection.served === 0 && isAtRest(socket, connection)) socket.destroy();
      }
    }, firstByteMilliseconds);
    let timer: NodeJS.Timeout | undefined;
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
        timer = setTimeout(resolve, milliseconds);
      });
    }
    clearTimeout(timer);
    clearTimeout(fresh);
    const left = this.#connections.size;
    for (const socket of this.#connections.keys()) socket.destroy();
    return left;
  }

  #accept(socket: net.Socket, kind: "clients" | "admin"): void {
    if (kind === "admin") this.#admin.add(socket);
    this.#connections.set(socket, { running: 0, served: 0, bytesAtRest: 0 });
    socket.once("close", () => {
      this.#connections.delete(socket);
      if (this.#connections.size === 0) this.#whenEmpty?.();
    });
    this.#http.emit("connection", socket);
  }

  #track(socket: net.Socket, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.running++;
    response.once("close", () => {
      connection.running--;
      connection.served++;
      connection.bytesAtRest = socket.bytesRead;
      if (this.#draining && connection.running === 0) socket.destroySoon();
    });
  }
}

function isAtRest(socket: net.Socket, connection: Connection): boolean {
  return connection.running === 0 && socket.bytesRead <= connection.bytesAtRest;
}
