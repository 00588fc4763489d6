/** HTTP/1.1 messages read from bytes as strictly as RFC 9112 is written: whatever could be read in two ways is a fault. */

export type Fields = readonly (readonly [name: string, value: string])[];

export interface Message {
  readonly start: string;
  /** Names in small letters. */
  readonly fields: Fields;
  readonly body: Buffer;
  readonly trailers: Fields;
  /** Bytes from the first of the head to the last of the body. */
  readonly length: number;
  /** Nothing can follow on this connection. */
  readonly last: boolean;
}

export type Kind =
  | { readonly of: "request" }
  /** `ended` says that the other side has closed, which is what ends an answer without any framing. */
  | { readonly of: "answer"; readonly method: string; readonly ended: boolean };

export class WireFault extends Error {
  override readonly name = "WireFault";
}

export interface Head {
  readonly start: string;
  readonly fields: Fields;
  readonly length: number;
}

const startOf = {
  request: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.1$/,
  answer: /^HTTP\/1\.1 [1-9][0-9]{2} [\t\x20-\x7e\x80-\xff]*$/,
};
const fieldLine =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

export function fieldsOf(fields: Fields, name: string): string[] {
  return fields.filter(([key]) => key === name).map(([, value]) => value);
}

export function fieldOf(fields: Fields, name: string): string | undefined {
  return fields.find(([key]) => key === name)?.[1];
}

/** Undefined while the head is not complete. Throws `WireFault`. */
export function readHead(bytes: Buffer, of: Kind["of"]): Head | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) {
    if (bytes.includes("\n\n")) throw new WireFault("a head that ends in bare line feeds");
    return undefined;
  }
  const [start = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  if (!startOf[of].test(start))
    throw new WireFault(`a start line that is none: ${JSON.stringify(start.slice(0, 120))}`);
  return { start, fields: lines.map(readField), length: end + 4 };
}

/** Undefined while more is needed. Throws `WireFault`. */
export function readMessage(bytes: Buffer, kind: Kind): Message | undefined {
  const head = readHead(bytes, kind.of);
  if (head === undefined) return undefined;
  const { start, fields } = head;
  const rest = bytes.subarray(head.length);
  const lengths = fieldsOf(fields, "content-length");
  const codings = fieldsOf(fields, "transfer-encoding");
  if (lengths.length + codings.length > 1)
    throw new WireFault(`more than one framing: ${[...lengths, ...codings].join(" | ")}`);
  const closes = /(?:^|,)\s*close\s*(?:,|$)/i.test(fieldsOf(fields, "connection").join(","));
  const whole = (body: Buffer, taken: number, last = closes, trailers: Fields = []): Message => ({
    ...{ start, fields, body, trailers, length: head.length + taken, last },
  });
  if (kind.of === "request" && fieldsOf(fields, "host").length !== 1) throw new WireFault("not exactly one host field");
  if (kind.of === "answer" && (kind.method === "HEAD" || /^HTTP\/1\.1 (?:1..|204|304) /.test(start))) {
    return whole(Buffer.alloc(0), 0);
  }
  if (codings[0] !== undefined) {
    if (codings[0] !== "chunked")
      throw new WireFault(`a transfer coding that is not "chunked": ${JSON.stringify(codings[0])}`);
    const chunked = readChunks(rest);
    return chunked && whole(chunked.body, chunked.length, closes, chunked.trailers);
  }
  if (lengths[0] !== undefined) {
    if (!/^[0-9]{1,15}$/.test(lengths[0]))
      throw new WireFault(`a length that is no number: ${JSON.stringify(lengths[0])}`);
    const length = Number(lengths[0]);
    return rest.length < length ? undefined : whole(rest.subarray(0, length), length);
  }
  if (kind.of === "request") return whole(Buffer.alloc(0), 0);
  return kind.ended ? whole(rest, rest.length, true) : undefined;
}

interface Chunked {
  readonly body: Buffer;
  readonly trailers: Fields;
  readonly length: number;
}

function readChunks(bytes: Buffer): Chunked | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const line = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line))
      throw new WireFault(`a chunk size that is none: ${JSON.stringify(line.slice(0, 60))}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) {
      if (bytes.length < at + 2) return undefined;
      if (bytes.toString("latin1", at, at + 2) === "\r\n")
        return { body: Buffer.concat(parts), trailers: [], length: at + 2 };
      const end = bytes.indexOf("\r\n\r\n", at);
      if (end < 0) return undefined;
      const trailers = bytes.toString("latin1", at, end).split("\r\n").map(readField);
      return { body: Buffer.concat(parts), trailers, length: end + 4 };
    }
    if (bytes.length < at + size + 2) return undefined;
    parts.push(bytes.subarray(at, at + size));
    at += size;
    if (bytes.toString("latin1", at, at + 2) !== "\r\n") throw new WireFault("a chunk that is longer than its size");
    at += 2;
  }
}

function readField(line: string): readonly [string, string] {
  const match = fieldLine.exec(line);
  if (match === null) throw new WireFault(`a field that is none: ${JSON.stringify(line.slice(0, 120))}`);
  return [(match[1] as string).toLowerCase(), match[2] as string];
}
