/** Stands in for running proxies: admin sockets in a host's shared folder that note what they are told. */
import { mkdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";

export class AdminSockets implements AsyncDisposable {
  /** Method, path and query of every call but `/healthz`, in the order of arrival. */
  readonly calls: string[] = [];
  /** Answers one call; `running` in the answer is what the test is about. */
  answer: (call: string, response: ServerResponse) => void = (_, response) => response.end('{"running":0}');
  readonly #servers: Server[] = [];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async in(folder: string, count = 1): Promise<AdminSockets> {
    await mkdir(folder, { recursive: true });
    const sockets = new AdminSockets(folder);
    for (let each = 0; each < count; each++) await sockets.open();
    return sockets;
  }

  async open(): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response));
    this.#servers.push(server);
    const path = join(this.#folder, `admin-${this.#servers.length}.sock`);
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === "/healthz") {
      response.end("{}");
      return;
    }
    const call = `${request.method} ${request.url}`;
    this.calls.push(call);
    this.answer(call, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
}
