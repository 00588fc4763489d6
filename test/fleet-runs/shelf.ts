/** Where the hosts of a run fetch their files from: a plain server on the bridge that they are on. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";

export interface Shelved {
  readonly url: string;
  readonly sha256: string;
}

export class Shelf implements AsyncDisposable {
  /** Bytes that went out, by address. */
  readonly sent = new Map<string, number>();
  readonly #files = new Map<string, string>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const file = this.#files.get(request.url ?? "");
      if (file === undefined) return response.writeHead(404).end();
      const { size } = await stat(file);
      response.writeHead(200, { "content-length": size, "content-type": "application/octet-stream" });
      if (request.method === "HEAD") return response.end();
      const bytes = createReadStream(file);
      await pipeline(bytes, response).catch(() => response.destroy());
      const address = `http://${request.headers.host}${request.url}`;
      this.sent.set(address, (this.sent.get(address) ?? 0) + bytes.bytesRead);
    });
  }

  static async open(address: string): Promise<Shelf> {
    const shelf = new Shelf();
    shelf.#server.listen(0, address);
    await once(shelf.#server, "listening");
    return shelf;
  }

  async put(name: string, file: string): Promise<Shelved> {
    const { address, port } = this.#server.address() as AddressInfo;
    this.#files.set(`/${name}`, file);
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    return { url: `http://${address}:${port}/${name}`, sha256: hash.digest("hex") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
