// Cuts a command's logged output into lines for the engine. The official plugin stops reading at a line of 64 KiB and then
// waits for ever; here such a line is an error, so that a test finds it instead of hanging.

/** Longest line, in bytes and without its newline, that the official plugin can log. */
export const LONGEST_LINE = 65_535;

export class LineTooLong extends Error {
  constructor() {
    super(
      `a logged line is longer than ${LONGEST_LINE} bytes: the official plugin would wait for ever here. ` +
        'Print shorter lines, or set logging to "none" or to the other stream',
    );
  }
}

export class LogLines {
  #rest: Buffer = Buffer.alloc(0);
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** @throws LineTooLong */
  push(chunk: Buffer): void {
    let pending = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let end = pending.indexOf(10); end !== -1; end = pending.indexOf(10)) {
      this.#line(pending.subarray(0, end));
      pending = pending.subarray(end + 1);
    }
    if (pending.length > LONGEST_LINE) throw new LineTooLong();
    this.#rest = pending;
  }

  end(): void {
    if (this.#rest.length > 0) this.#line(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  #line(bytes: Buffer): void {
    if (bytes.length > LONGEST_LINE) throw new LineTooLong();
    const text = bytes.toString("utf8");
    this.#write(text.endsWith("\r") ? text.slice(0, -1) : text);
  }
}
