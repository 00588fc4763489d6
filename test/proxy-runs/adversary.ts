/**
 * An upstream that takes everything: it reads a request in the most forgiving way there is, remembers what was odd about it, and leaves
 * the answer, or what takes its place, to whoever started it.
 */
import net, { type AddressInfo } from "node:net";
import { type Fields, fieldOf, readHead, readMessage, WireFault } from "./message.ts";

export interface Heard {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
  readonly body: Buffer;
  /** Why a strict reader would have refused it; empty when it would not. */
  readonly oddities: readonly string[];
  /** Which connection, counted from 1, and which request on it. */
  readonly connection: number;
  readonly index: number;
}

export interface Behaviour {
  /** Called when the head is there. True when that was all: the body is read and thrown away. */
  onHead?(heard: Omit<Heard, "body">, socket: net.Socket): boolean;
  onRequest(heard: Heard, socket: net.Socket): void;
  /** Takes the place of the proxy's own question for the models; without it that is answered with `catalog`. */
  onCatalog?(socket: net.Socket): void;
}

const catalog = JSON.stringify({
  models: [
    { key: "m", loaded_instances: [{ id: "m" }], capabilities: { reasoning: { allowed_options: ["off", "on"] } } },
  ],
});

export const jsonAnswer = (body: string, status = "200 OK", more = ""): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;

export class Adversary implements AsyncDisposable {
  readonly #sockets = new Set<net.Socket>();
  #behaviour: Behaviour;
  #server: net.Server;
  #count = 0;
  port = 0;

  private constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
    this.#server = this.#open();
  }

  static async start(behaviour: Behaviour): Promise<Adversary> {
    const adversary = new Adversary(behaviour);
    await adversary.#listen();
    return adversary;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Dies as a process does: nothing listens any more, and every connection is reset. */
  async die(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    await closed;
  }

  async comeBack(): Promise<void> {
    this.#server = this.#open();
    await this.#listen();
  }

  reset(): void {
    for (const socket of this.#sockets) resetSocket(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.die();
  }

  #open(): net.Server {
    return net.createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    const connection = ++this.#count;
    let index = 0;
    let bytes: Buffer = Buffer.alloc(0);
    let headShown = false;
    let dealtWith = false;
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      while (bytes.length > 0) {
        const read = readRequest(bytes);
        if (read === undefined) return;
        const { length, ...rest } = read;
        const heard = { ...rest, connection, index };
        if (!headShown && heard.target !== "/api/v1/models") {
          headShown = true;
          dealtWith = this.#behaviour.onHead?.(heard, socket) ?? false;
        }
        if (length === undefined) return;
        bytes = bytes.subarray(length);
        headShown = false;
        index++;
        if (dealtWith) {
          dealtWith = false;
          continue;
        }
        const isCatalog = heard.method === "GET" && heard.target === "/api/v1/models" && heard.body.length === 0;
        if (!isCatalog) this.#behaviour.onRequest(heard, socket);
        else if (this.#behaviour.onCatalog === undefined) socket.write(jsonAnswer(catalog));
        else this.#behaviour.onCatalog(socket);
      }
    });
  }
}

/** A socket that is on its way to a clean end cannot be reset any more: libuv refuses, and Node 26 then never closes it at all. */
export function resetSocket(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

type Read = Omit<Heard, "connection" | "index"> & { readonly length: number | undefined };

/** Undefined while the head is not complete; `length` is undefined while the body is not. */
function readRequest(bytes: Buffer): Read | undefined {
  try {
    const head = readHead(bytes, "request");
    if (head === undefined) return undefined;
    const [method = "", target = ""] = head.start.split(" ");
    const message = readMessage(bytes, { of: "request" });
    const oddities: string[] = [];
    return {
      method,
      target,
      fields: head.fields,
      body: message?.body ?? Buffer.alloc(0),
      oddities,
      length: message?.length,
    };
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    return readAnyway(bytes, error.message);
  }
}

function readAnyway(bytes: Buffer, oddity: string): Read {
  const text = bytes.toString("latin1");
  const blank = /\r?\n\r?\n/.exec(text);
  const headEnd = blank === null ? text.length : blank.index + blank[0].length;
  const [start = "", ...lines] = text
    .slice(0, headEnd)
    .replace(/\r?\n[ \t]+/g, " ")
    .split(/\r?\n|\r/);
  const fields = lines
    .filter((line) => line.includes(":"))
    .map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
    });
  const [method = "", target = ""] = start.split(/\s+/);
  const chunked = fields.some(([name, value]) => name === "transfer-encoding" && /chunked/i.test(value));
  const end = chunked ? /(?:^|\n)0+[^\n]*\r?\n(?:[^\n]+\n)*\r?\n/.exec(text.slice(headEnd)) : null;
  const said = Number.parseInt(fieldOf(fields, "content-length") ?? "0", 10) || 0;
  const bodyLength = end === null ? Math.min(said, bytes.length - headEnd) : end.index + end[0].length;
  const body = bytes.subarray(headEnd, headEnd + bodyLength);
  return { method, target, fields, body, oddities: [oddity], length: headEnd + bodyLength };
}
