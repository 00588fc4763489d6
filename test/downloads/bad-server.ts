/**
 * A server on a bad network: it honours ranges, and at seeded places of the file it cuts the connection, ends early, falls silent, or, on the next
 * request, answers 503 or names another range than the one that was asked for.
 */

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Random } from "../proxy-runs/random.ts";
import type { Content } from "./content.ts";

const kinds = ["cut", "reset", "stall", "overload", "lie"] as const;
type Kind = (typeof kinds)[number];

interface Trouble {
  /** Byte of the file before which it happens. */
  readonly at: number;
  readonly kind: Kind;
}

export interface BadServerOptions {
  readonly cuts: number;
  readonly seed: number;
  /** All connections together; unlimited without. */
  readonly bytesPerSecond?: number;
  /** Index of a byte that is sent wrong. */
  readonly flipped?: number;
}

export class BadServer implements AsyncDisposable {
  readonly played: Record<Kind, number> = { cut: 0, reset: 0, stall: 0, overload: 0, lie: 0 };
  /** Bytes of bodies handed to the network. */
  sent = 0;
  readonly #content: Content;
  readonly #options: BadServerOptions;
  readonly #server: Server;
  readonly #troubles: Trouble[];
  #owed: Kind | null = null;

  private constructor(content: Content, options: BadServerOptions) {
    this.#content = content;
    this.#options = options;
    const random = new Random(options.seed);
    this.#troubles = Array.from({ length: options.cuts }, (_, index) => ({
      at: 1 + random.below(content.bytes - 1),
      kind: kinds[index % kinds.length] as Kind,
    })).sort((a, b) => a.at - b.at);
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(content: Content, options: BadServerOptions): Promise<BadServer> {
    const made = new BadServer(content, options);
    made.#server.listen(0, "127.0.0.1");
    await once(made.#server, "listening");
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/model.gguf`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { bytes, sha256, file } = this.#content;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const owed = this.#owed;
    this.#owed = null;
    if (owed === "overload") {
      response.writeHead(503).end();
      return;
    }
    const named = owed === "lie" ? Math.max(0, from - 1000) : from;
    const range = from > 0 ? { "content-range": `bytes ${named}-${bytes - 1}/${bytes}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag: `"${sha256}"`, ...range, "content-length": bytes - named });
    if (owed === "lie") {
      response.write(Buffer.alloc(1000));
      return;
    }
    const trouble = this.#troubles.find(({ at }) => at > from);
    const end = trouble === undefined ? bytes : trouble.at;
    await this.#send(response, file, from, end);
    if (trouble === undefined || response.destroyed) {
      response.end();
      return;
    }
    this.#troubles.splice(0, this.#troubles.indexOf(trouble) + 1);
    this.played[trouble.kind]++;
    if (trouble.kind === "stall") return;
    if (trouble.kind === "overload" || trouble.kind === "lie") this.#owed = trouble.kind;
    if (trouble.kind === "reset") response.socket?.resetAndDestroy();
    else response.destroy();
  }

  async #send(response: ServerResponse, file: string, from: number, end: number): Promise<void> {
    const { bytesPerSecond, flipped } = this.#options;
    const started = performance.now();
    let at = from;
    let go = () => {};
    response.on("drain", () => go()).on("close", () => go());
    for await (const chunk of createReadStream(file, { start: from, end: end - 1, highWaterMark: 256 * 1024 })) {
      const piece = chunk as Buffer;
      if (flipped !== undefined && flipped >= at && flipped < at + piece.length) {
        piece[flipped - at] = (piece[flipped - at] as number) ^ 1;
      }
      at += piece.length;
      this.sent += piece.length;
      if (!response.write(piece)) {
        await new Promise<void>((resolve) => {
          go = resolve;
        });
      }
      if (response.destroyed) return;
      if (bytesPerSecond === undefined) continue;
      const early = ((at - from) / bytesPerSecond) * 1000 - (performance.now() - started);
      if (early > 2) await new Promise((resolve) => setTimeout(resolve, early));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
