/** A client on a raw socket: sends any bytes, reads answers strictly, and tells a whole answer from a cut one. */
import net from "node:net";
import { type Message, readMessage, WireFault } from "./message.ts";

export type Reply =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly message: Message;
      readonly informational: readonly number[];
    }
  /** The connection closed; `partial` is what came of an answer until then. */
  | { readonly kind: "closed"; readonly partial: Buffer }
  | { readonly kind: "malformed"; readonly why: string }
  | { readonly kind: "hang" };

export class WireClient {
  readonly #socket: net.Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #changed: (() => void) | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#changed?.();
    });
    socket.once("end", () => {
      this.#ended = true;
      this.#changed?.();
    });
    // A reset is one of the ways in which a connection closes.
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#ended = true;
      this.#closed = true;
      this.#changed?.();
    });
  }

  static connect(port: number): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new WireClient(socket)));
    });
  }

  /** The other side has sent its end, or the connection is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  send(bytes: string | Buffer): void {
    if (this.#socket.writable) this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Says that nothing more will be sent, and still listens. */
  halfClose(): void {
    if (this.#socket.writable) this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The next whole answer on this connection, interim ones counted apart. */
  async answer(method = "GET", milliseconds = 20_000): Promise<Reply> {
    const informational: number[] = [];
    const look = (): Reply | undefined => {
      for (;;) {
        let message: Message | undefined;
        try {
          message = readMessage(this.#bytes, { of: "answer", method, ended: this.#ended });
        } catch (error) {
          if (error instanceof WireFault) return { kind: "malformed", why: error.message };
          throw error;
        }
        if (message === undefined) return this.#ended ? { kind: "closed", partial: this.#bytes } : undefined;
        this.#bytes = this.#bytes.subarray(message.length);
        const status = Number(message.start.slice(9, 12));
        if (status >= 200 || status === 101) return { kind: "answer", status, message, informational };
        informational.push(status);
      }
    };
    return await this.#wait(look, milliseconds, { kind: "hang" });
  }

  /** Whether the other side ends the connection in time; what it still sends is kept. */
  async end(milliseconds = 10_000): Promise<boolean> {
    return await this.#wait(() => (this.#ended ? true : undefined), milliseconds, false);
  }

  /** What has come and no answer has taken. */
  get rest(): Buffer {
    return this.#bytes;
  }

  #wait<T>(look: () => T | undefined, milliseconds: number, late: T): Promise<T> {
    const now = look();
    if (now !== undefined) return Promise.resolve(now);
    return new Promise((resolve, reject) => {
      const settle = (value: T) => {
        clearTimeout(timer);
        this.#changed = undefined;
        resolve(value);
      };
      const timer = setTimeout(() => settle(late), milliseconds);
      this.#changed = () => {
        try {
          const value = look();
          if (value !== undefined) settle(value);
        } catch (error) {
          clearTimeout(timer);
          reject(error);
        }
      };
    });
  }

  get closed(): boolean {
    return this.#closed;
  }
}
