/**
 * Finds where the members of a JSON object and the elements of a JSON array lie, without parsing what is inside them. Strict about the
 * level that is asked for; inside a value only strings and brackets are followed, so the rest stays LM Studio's to judge.
 */

/** Byte offsets; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

interface Member {
  /** Decoded: `"model"` written as `"\u006dodel"` is `model`. */
  readonly key: string;
  readonly keyStart: number;
  readonly value: Span;
}

/** `start` is the opening bracket, `end` is behind the closing one. */
export interface ObjectSpan extends Span {
  readonly members: readonly Member[];
}

export interface ArraySpan extends Span {
  readonly elements: readonly Span[];
}

/** The bytes are not the JSON that was asked for; `offset` says from which byte on. */
export class ScanFault extends Error {
  override readonly name = "ScanFault";
  readonly offset: number;

  constructor(expected: string, bytes: Uint8Array, offset: number) {
    const found = offset < bytes.length ? JSON.stringify(String.fromCharCode(bytes[offset] ?? 0)) : "the end";
    super(`expected ${expected} at byte ${offset}, found ${found}`);
    this.offset = offset;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const scalar = /^(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$/;

/** The object that starts at the first byte from `start` on that is not white space. */
export function scanObject(bytes: Buffer, start = 0): ObjectSpan {
  const open = skipSpace(bytes, start);
  if (bytes[open] !== openBrace) throw new ScanFault("a JSON object", bytes, open);
  const members: Member[] = [];
  let at = skipSpace(bytes, open + 1);
  if (bytes[at] === closeBrace) return { start: open, end: at + 1, members };
  for (;;) {
    if (bytes[at] !== quote) throw new ScanFault("a key in double quotes", bytes, at);
    const keyEnd = skipString(bytes, at);
    const key = decodeString(bytes, at, keyEnd);
    const separator = skipSpace(bytes, keyEnd);
    if (bytes[separator] !== colon) throw new ScanFault('":"', bytes, separator);
    const value = scanValue(bytes, separator + 1);
    members.push({ key, keyStart: at, value });
    const next = skipSpace(bytes, value.end);
    if (bytes[next] === closeBrace) return { start: open, end: next + 1, members };
    if (bytes[next] !== comma) throw new ScanFault('"," or "}"', bytes, next);
    at = skipSpace(bytes, next + 1);
  }
}

/** The array that starts at the first byte from `start` on that is not white space. */
export function scanArray(bytes: Buffer, start = 0): ArraySpan {
  const open = skipSpace(bytes, start);
  if (bytes[open] !== openBracket) throw new ScanFault("a JSON array", bytes, open);
  const elements: Span[] = [];
  const first = skipSpace(bytes, open + 1);
  if (bytes[first] === closeBracket) return { start: open, end: first + 1, elements };
  for (let at = first; ; ) {
    const element = scanValue(bytes, at);
    elements.push(element);
    const next = skipSpace(bytes, element.end);
    if (bytes[next] === closeBracket) return { start: open, end: next + 1, elements };
    if (bytes[next] !== comma) throw new ScanFault('"," or "]"', bytes, next);
    at = next + 1;
  }
}

/** The whole body: one object with nothing but white space around it. `start` skips a byte order mark. */
export function scanDocument(bytes: Buffer): ObjectSpan {
  const object = scanObject(bytes, hasByteOrderMark(bytes) ? 3 : 0);
  const rest = skipSpace(bytes, object.end);
  if (rest !== bytes.length) throw new ScanFault("nothing behind the object", bytes, rest);
  return object;
}

export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function scanValue(bytes: Buffer, from: number): Span {
  const start = skipSpace(bytes, from);
  const first = bytes[start];
  if (first === quote) return { start, end: skipString(bytes, start) };
  if (first === openBrace || first === openBracket) return { start, end: skipNested(bytes, start) };
  let end = start;
  while (end < bytes.length && isScalarByte(bytes[end] as number)) end++;
  if (!scalar.test(bytes.toString("latin1", start, end))) throw new ScanFault("a JSON value", bytes, start);
  return { start, end };
}

/** Iterative, so that nesting depth costs no stack. */
function skipNested(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; ) {
    const byte = bytes[at];
    if (byte === quote) {
      at = skipString(bytes, at);
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at + 1;
    at++;
  }
  throw new ScanFault("a closing bracket", bytes, bytes.length);
}

/** Jumps from quote to quote natively; a quote behind an odd number of backslashes belongs to the string. */
function skipString(bytes: Buffer, start: number): number {
  for (let from = start + 1; ; ) {
    const at = bytes.indexOf(quote, from);
    if (at < 0) throw new ScanFault("a closing quote", bytes, bytes.length);
    let before = at - 1;
    while (bytes[before] === backslash) before--;
    if ((at - 1 - before) % 2 === 0) return at + 1;
    from = at + 1;
  }
}

function decodeString(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new ScanFault("a key that is a JSON string", bytes, start);
  }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && isSpace(bytes[at] as number)) at++;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isScalarByte(byte: number): boolean {
  return !isSpace(byte) && byte !== comma && byte !== closeBrace && byte !== closeBracket && byte !== colon;
}
