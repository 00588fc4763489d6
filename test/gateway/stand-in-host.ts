/** What a gateway sees of a host: the paths of its proxy that matter here, answered as a script says. */
import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { text } from "node:stream/consumers";

export interface Seen {
  readonly path: string;
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
}

export class StandInHost implements AsyncDisposable {
  readonly name: string;
  readonly seen: Seen[] = [];
  /** As `/readyz` tells them. */
  readonly loaded: Set<string>;
  /** Answers every request so, when set. */
  refuses: number | null = null;
  /** Answers what would be a stream instead of it, when set. */
  script: ((response: http.ServerResponse, path: string) => void) | null = null;
  port = 0;
  #server: http.Server;
  readonly #address: string;
  readonly #streams = new Set<http.ServerResponse>();
  readonly #sockets = new Set<net.Socket>();

  private constructor(name: string, models: readonly string[], address: string) {
    this.name = name;
    this.#address = address;
    this.loaded = new Set(models);
    this.#server = this.#serve();
  }

  static async open(name: string, models: readonly string[], address = "127.0.0.1"): Promise<StandInHost> {
    const host = new StandInHost(name, models, address);
    await host.#listen();
    return host;
  }

  get running(): number {
    return this.#streams.size;
  }

  /** To every stream that runs, in one write. */
  say(words: string): void {
    for (const stream of this.#streams) stream.write(`data: ${words}\n\n`);
  }

  /** Ends the streams that run, well. */
  finish(): void {
    for (const stream of this.#streams) stream.end("data: done\n\n");
    this.#streams.clear();
  }

  /** As a process that is killed: its kernel closes the connections, or breaks those that it has something unread of. */
  async die(how: "close" | "break" = "close"): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) how === "break" ? socket.resetAndDestroy() : socket.destroy();
    this.#streams.clear();
    await closed;
  }

  async revive(): Promise<void> {
    this.#server = this.#serve();
    await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.die();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.port, this.#address);
    await once(this.#server, "listening");
    this.port = (this.#server.address() as net.AddressInfo).port;
  }

  #serve(): http.Server {
    const server = http.createServer(async (request, response) => {
      const { url: path = "", headers } = request;
      if (path === "/readyz") {
        const models = Object.fromEntries([...this.loaded].map((model) => [model, "loaded"]));
        return response.writeHead(this.loaded.size > 0 ? 200 : 503).end(JSON.stringify({ models }));
      }
      const body = await text(request);
      this.seen.push({ path, body, headers });
      if (this.refuses !== null) return response.writeHead(this.refuses).end();
      if (!body.includes('"stream":true')) return response.end(JSON.stringify({ host: this.name }));
      response.writeHead(200, { "content-type": "text/event-stream" });
      if (this.script !== null) return this.script(response, path);
      response.write(`data: ${this.name}\n\n`);
      this.#streams.add(response);
      return response.once("close", () => this.#streams.delete(response));
    });
    return server.on("connection", (socket: net.Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }
}
