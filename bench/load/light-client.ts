/**
 * A client that costs as little as a measurement allows, so that the peers and not the client are compared: it writes prepared bytes and reads no
 * more of an answer than it must.
 */
import net from "node:net";
import { MessageReader } from "../wire/message-reader.ts";
import type { Answer, Client } from "./client.ts";
import { type LoadRequest, onTheWire } from "./request.ts";

export class LightClient implements Client {
  readonly #port: number;
  #socket: net.Socket | undefined;
  #status = 0;
  #onData: ((bytes: Buffer) => void) | undefined;
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #closing = false;

  constructor(port: number) {
    this.#port = port;
  }

  send(request: LoadRequest, onData?: (bytes: Buffer) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#onData = onData;
      this.#open().write(onTheWire(request));
    });
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  #open(): net.Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = net.connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    this.#closing = false;
    const reader = new MessageReader({
      head: (head) => {
        this.#status = Number(head.slice(9, 12));
        if (/\r\nconnection: *close/i.test(head)) this.#closing = true;
        return true;
      },
      data: (bytes) => this.#onData?.(bytes),
      end: () => {
        // The other side closes after this answer: the next request opens a connection of its own.
        if (this.#closing) this.#socket = undefined;
        const settle = this.#settle;
        this.#settle = undefined;
        settle?.resolve({ status: this.#status });
      },
    });
    socket.on("data", (bytes) => reader.push(bytes as Buffer));
    let reason = "the connection closed before the answer was complete";
    socket.on("error", (error) => {
      reason = error.message;
    });
    socket.on("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      const settle = this.#settle;
      this.#settle = undefined;
      settle?.reject(new Error(reason));
    });
    this.#socket = socket;
    return socket;
  }
}
