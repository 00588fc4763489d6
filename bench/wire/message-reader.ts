/**
 * Reads the HTTP/1.1 messages of one connection with as little work as a measurement allows: the load side shares its core with LM Studio's
 * stand-in, so whatever they spend hides the difference between the peers. For well-behaved loopback peers only; framing is by length or by chunks.
 */

const headEnd = "\r\n\r\n";
const lineEnd = "\r\n";

export interface MessageSink {
  /** The start line and the fields of one message, without the empty line. Returns false when no body follows whatever the fields say. */
  head(head: string): boolean;
  data(bytes: Buffer): void;
  end(): void;
}

type State = "head" | "length" | "size" | "chunk" | "gap" | "trailers";

export class MessageReader {
  readonly #sink: MessageSink;
  #state: State = "head";
  #left = 0;
  /** Bytes of a head or of a chunk's size line that were not complete yet. */
  #rest: Buffer | undefined;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  push(arrived: Buffer): void {
    let bytes = arrived;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, arrived]);
      this.#rest = undefined;
    }
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next === undefined) {
        this.#rest = bytes.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** Where the next step begins; undefined when more bytes are needed. */
  #step(bytes: Buffer, at: number): number | undefined {
    switch (this.#state) {
      case "head":
        return this.#readHead(bytes, at);
      case "length": {
        const end = Math.min(bytes.length, at + this.#left);
        this.#pass(bytes, at, end);
        if (this.#left === 0) this.#finish();
        return end;
      }
      case "size": {
        const end = bytes.indexOf(lineEnd, at);
        if (end < 0) return undefined;
        this.#left = Number.parseInt(bytes.toString("latin1", at, end), 16);
        this.#state = this.#left === 0 ? "trailers" : "chunk";
        return end + 2;
      }
      case "chunk": {
        const end = Math.min(bytes.length, at + this.#left);
        this.#pass(bytes, at, end);
        if (this.#left === 0) this.#state = "gap";
        return end;
      }
      case "gap":
        if (bytes.length < at + 2) return undefined;
        this.#state = "size";
        return at + 2;
      case "trailers": {
        const end = bytes.indexOf(lineEnd, at);
        if (end < 0) return undefined;
        if (end === at) this.#finish();
        return end + 2;
      }
    }
  }

  #readHead(bytes: Buffer, at: number): number | undefined {
    const end = bytes.indexOf(headEnd, at);
    if (end < 0) return undefined;
    const head = bytes.toString("latin1", at, end);
    const after = end + headEnd.length;
    if (!this.#sink.head(head)) {
      this.#finish();
      return after;
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) {
      this.#left = Number(length[1]);
      this.#state = "length";
      if (this.#left === 0) this.#finish();
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#state = "size";
    } else {
      this.#finish();
    }
    return after;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    this.#left -= to - from;
    this.#sink.data(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
  }

  #finish(): void {
    this.#state = "head";
    this.#sink.end();
  }
}
