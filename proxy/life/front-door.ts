/**
 * Accepting and letting go of connections. Listeners are plain `net.Server`s that hand their sockets to the HTTP server, because
 * `http.Server.close()` also closes connections that were accepted and have not sent a byte yet: during a hand-over those are requests.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import net from "node:net";
import type { Logger } from "pino";

export interface DoorLimits {
  readonly connections: number;
  readonly readerSeconds: number;
}

/** An address, or a socket that somebody else opened and listens on. */
export type Place =
  | { readonly host: string; readonly port: number; readonly reusePort: boolean }
  | { readonly fd: number };

interface Connection {
  running: number;
  /** `bytesRead` when the last answer ended: more than that means that the next request is on its way. */
  bytesAtRest: number;
  /** Bytes that the client had taken when it was last looked at, and since when it takes none of those that wait. */
  taken: number;
  stalledSince: number;
}

/**
 * Milliseconds that a connection at rest gets for one more request once nothing new is accepted; that one's answer says that it is the last.
 * Closed at once, a connection met the request that its client was just sending: 1 of 1,348 was lost in 30 replacements (`npm run swap`).
 */
const lastRequestMilliseconds = 2_000;
/** A client that is turned away again and again fills no log. */
const tellMilliseconds = 10_000;

export class FrontDoor {
  readonly #http: Server;
  readonly #limits: () => DoorLimits;
  readonly #log: Logger;
  readonly #admin = new WeakSet<net.Socket>();
  readonly #connections = new Map<net.Socket, Connection>();
  #clients = 0;
  #adminListener: net.Server | undefined;
  #clientListener: net.Server | undefined;
  #clientOptions: Place | undefined;
  #draining = false;
  #whenEmpty: (() => void) | undefined;
  #turnedAway = 0;
  #slowReaders = 0;
  /** Of `#turnedAway`, when the log was told last. */
  #told = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  #watch: NodeJS.Timeout | undefined;

  constructor(http: Server, limits: () => DoorLimits, log: Logger) {
    this.#http = http;
    this.#limits = limits;
    this.#log = log;
    const track = (request: IncomingMessage, response: ServerResponse) => this.#track(request.socket, response);
    http.on("request", track).on("checkContinue", track);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** New connections of clients are accepted. */
  get listening(): boolean {
    return this.#clientListener !== undefined;
  }

  get connections(): number {
    return this.#clients;
  }

  /** Since the start: connections beyond the limit, and clients that were cut off because they took nothing of their answer. */
  get refused(): { readonly turnedAway: number; readonly slowReaders: number } {
    return { turnedAway: this.#turnedAway, slowReaders: this.#slowReaders };
  }

  isAdmin(request: IncomingMessage): boolean {
    return this.#admin.has(request.socket);
  }

  /** Resolves once the admin socket is bound. */
  async openAdmin(path: string): Promise<void> {
    this.#adminListener = await this.#open({ path }, "admin");
  }

  /** Resolves with the address once the listener is bound; rejects with the system's error. */
  async listen(options: Place): Promise<net.AddressInfo> {
    const listener = await this.#open(options, "clients");
    const address = listener.address() as net.AddressInfo;
    // Asked to end while it was being opened.
    if (this.#draining) listener.close();
    else this.#clientListener = listener;
    // Port 0 is another one each time.
    this.#clientOptions = "fd" in options ? options : { ...options, port: address.port };
    this.#watch ??= this.#watchReaders();
    return address;
  }

  /** A successor serves: nothing new is accepted, what was accepted is served, and what lies idle is let go after a moment. */
  stopListening(): void {
    this.#clientListener?.close();
    this.#clientListener = undefined;
    this.#letIdleGo();
  }

  /**
   * The successor is gone. Resolves with whether new connections are accepted: an inherited socket cannot be opened again, and whoever holds it
   * starts another process.
   */
  async listenAgain(): Promise<boolean> {
    if (this.listening) return true;
    if (this.#draining || this.#clientOptions === undefined || "fd" in this.#clientOptions) return false;
    await this.listen(this.#clientOptions);
    return this.listening;
  }

  /** Stops accepting, lets running requests end, and resolves with the number of connections that had to be cut at the deadline. */
  async drain(milliseconds: number): Promise<number> {
    this.#draining = true;
    this.stopListening();
    let timer: NodeJS.Timeout | undefined;
    if (this.#clients > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
        timer = setTimeout(resolve, milliseconds);
      });
    }
    clearTimeout(timer);
    clearInterval(this.#watch);
    const left = this.#clients;
    // Last: until here it tells whoever asks that this process still works, and for what.
    this.#adminListener?.close();
    for (const socket of this.#connections.keys()) socket.destroy();
    return left;
  }

  async #open(options: net.ListenOptions | Place, kind: "clients" | "admin"): Promise<net.Server> {
    const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket, kind));
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(options, () => {
        listener.off("error", reject);
        resolve();
      });
    });
    return listener;
  }

  #letIdleGo(): void {
    for (const [socket, connection] of this.#connections) {
      if (!this.#admin.has(socket) && isAtRest(socket, connection)) this.#letGo(socket, connection);
    }
  }

  #letGo(socket: net.Socket, connection: Connection): void {
    const last = setTimeout(() => {
      if (!this.listening && isAtRest(socket, connection)) socket.destroySoon();
    }, lastRequestMilliseconds);
    last.unref();
  }

  #accept(socket: net.Socket, kind: "clients" | "admin"): void {
    if (kind === "admin") this.#admin.add(socket);
    else if (this.#clients >= this.#limits().connections) {
      socket.destroy();
      this.#tellTurnedAway();
      return;
    } else this.#clients++;
    this.#connections.set(socket, { running: 0, bytesAtRest: 0, taken: 0, stalledSince: 0 });
    socket.once("close", () => {
      this.#connections.delete(socket);
      if (kind === "clients") this.#clients--;
      if (this.#clients === 0) this.#whenEmpty?.();
    });
    this.#http.emit("connection", socket);
  }

  #track(socket: net.Socket, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.running++;
    response.once("close", () => {
      connection.running--;
      connection.bytesAtRest = socket.bytesRead;
      if (connection.running > 0) return;
      if (this.#admin.has(socket)) {
        if (this.#draining) socket.destroySoon();
      } else if (!this.listening) this.#letGo(socket, connection);
    });
  }

  #tellTurnedAway(): void {
    this.#turnedAway++;
    const now = performance.now();
    if (now - this.#toldAt < tellMilliseconds) return;
    const { connections } = this.#limits();
    this.#log.warn(
      { connections, turnedAway: this.#turnedAway - this.#told },
      "limits.connections is reached: new ones are closed",
    );
    this.#toldAt = now;
    this.#told = this.#turnedAway;
  }

  /** A client that takes nothing of an answer that is there keeps LM Studio's slot and our memory: it is cut off. */
  #watchReaders(): NodeJS.Timeout {
    const every = Math.min(Math.max((this.#limits().readerSeconds * 1_000) / 4, 50), 5_000);
    const watch = setInterval(() => {
      const now = performance.now();
      const longest = this.#limits().readerSeconds * 1_000;
      for (const [socket, connection] of this.#connections) {
        const pending = pendingBytes(socket);
        const taken = socket.bytesWritten - pending;
        if (pending === 0 || taken !== connection.taken) {
          connection.taken = taken;
          connection.stalledSince = now;
        } else if (now - connection.stalledSince > longest) {
          this.#log.warn(
            { pending: socket.writableLength, seconds: longest / 1_000 },
            "a client takes nothing of its answer: cut off",
          );
          this.#slowReaders++;
          socket.destroy();
        }
      }
    }, every);
    watch.unref();
    return watch;
  }
}

/** In Node's own buffer and in libuv's; the kernel's is beyond our sight, and soon full. */
function pendingBytes(socket: net.Socket): number {
  const handle = (socket as { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle;
  return socket.writableLength === 0 ? 0 : socket.writableLength + (handle?.writeQueueSize ?? 0);
}

function isAtRest(socket: net.Socket, connection: Connection): boolean {
  return connection.running === 0 && socket.bytesRead <= connection.bytesAtRest;
}
