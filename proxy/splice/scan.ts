/**
 * Finds where the parts of a request body lie while it arrives, without parsing what is inside them. Strict about the levels that the
 * rules look at: the top object, the members of a few objects in it (`reasoning`), the elements of a few lists (`messages`). Inside anything
 * else only strings and brackets are followed; that stays LM Studio's to judge.
 */
import type { Chunks } from "./chunks.ts";
import { closingQuote, openEscaped } from "./closing-quote.ts";
import { type Element, type Member, ScanFault, type Span } from "./outline.ts";

/** Top members whose inside the rules look at. */
const opened: ReadonlySet<string> = new Set(["reasoning", "thinking", "text", "messages", "input", "tools"]);

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const scalar = /^(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$/;
const longestScalar = 512;
const State = {
  start: 0,
  keyOrClose: 1,
  key: 2,
  colon: 3,
  value: 4,
  valueOrClose: 5,
  commaOrClose: 6,
  string: 7,
  scalar: 8,
  nested: 9,
  nestedString: 10,
  done: 11,
} as const;
type State = (typeof State)[keyof typeof State];

const expectations: readonly string[] = [
  "a JSON object",
  'a key in double quotes or "}"',
  "a key in double quotes",
  '":"',
  "a JSON value",
  'a JSON value or "]"',
  '"," or a closing bracket',
  "a closing quote",
  "a JSON value",
  "a closing bracket",
  "a closing quote",
  "nothing behind the object",
];

/** Members of list elements that are told of: anything else of a long conversation is passed by. */
const told: ReadonlySet<string> = new Set(["type", "role", "output", "namespace"]);
const toldLengths: ReadonlySet<number> = new Set([...told].map((key) => key.length + 2));

/** A type that is looked for at any depth: found here, since another search through the body costs more than the whole scan. */
const imageType = Buffer.from('"input_image"');

/** An open object or list. */
interface Frame {
  readonly array: boolean;
  readonly members: Member[];
  readonly elements: Element[];
  readonly isElement: boolean;
  type: string | undefined;
  role: string | undefined;
  namespaced: boolean;
  images: boolean;
  output: number | undefined;
  key: string;
  keyStart: number;
  valueStart: number;
  first: number;
}

export class Scanner {
  readonly #chunks: Chunks;
  readonly #frames: Frame[] = [];
  #state: State = State.start;
  #chunk: Buffer = Buffer.alloc(0);
  /** Offset of the current chunk in the body. */
  #base = 0;
  /** Start of the string, scalar or key that is being read. */
  #tokenStart = 0;
  /** Inside a string: the next byte belongs to a backslash at the end of the chunk before. */
  #escaped = false;
  /** Whether the string that is being read is a key. */
  #isKey = false;
  /** Brackets that are open inside a value that is not looked into. */
  #depth = 0;
  #byteOrderMark = false;
  #members: readonly Member[] = [];
  #object: Span = { start: 0, end: 0 };

  /** `chunks` gets each chunk before `push` does: keys that lie across chunks are read from there. */
  constructor(chunks: Chunks) {
    this.#chunks = chunks;
  }

  get byteOrderMark(): boolean {
    return this.#byteOrderMark;
  }

  /** Of the top object, in order, duplicates included. Complete after `end`. */
  get members(): readonly Member[] {
    return this.#members;
  }

  get object(): Span {
    return this.#object;
  }

  /** Throws `ScanFault` as soon as the bytes cannot become what is expected. */
  push(chunk: Buffer): void {
    const base = this.#base;
    const length = chunk.length;
    this.#chunk = chunk;
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case State.string:
        case State.nestedString:
          at = this.#string(chunk, at);
          continue;
        case State.nested:
          at = this.#nested(chunk, at);
          continue;
        case State.scalar:
          at = this.#scalar(chunk, at);
          continue;
        default: {
          const byte = chunk[at] as number;
          if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) at++;
          else at = this.#structure(byte, base + at) - base;
        }
      }
    }
    this.#base = base + length;
  }

  /** Throws `ScanFault` when the object is not complete. */
  end(): void {
    if (this.#state !== State.done) throw this.#fault(this.#base, "the end");
  }

  /** One byte that is no white space, between values; returns the offset to go on from. */
  #structure(byte: number, offset: number): number {
    const frame = this.#frames.at(-1);
    switch (this.#state) {
      case State.start:
        if (byte === openBrace) return this.#open(offset, false, false);
        // A byte order mark may be split over chunks like anything else.
        if (byte === [0xef, 0xbb, 0xbf][offset]) {
          this.#byteOrderMark = offset === 2;
          return offset + 1;
        }
        break;
      case State.keyOrClose:
        if (byte === closeBrace) return this.#close(offset);
        if (byte === quote) return this.#startString(offset, true);
        break;
      case State.key:
        if (byte === quote) return this.#startString(offset, true);
        break;
      case State.colon:
        if (byte === colon) {
          this.#state = State.value;
          return offset + 1;
        }
        break;
      case State.valueOrClose:
        if (byte === closeBracket) return this.#close(offset);
        return this.#startValue(byte, offset);
      case State.value:
        return this.#startValue(byte, offset);
      case State.commaOrClose:
        if (byte === comma) {
          this.#state = frame?.array ? State.value : State.key;
          return offset + 1;
        }
        if (byte === (frame?.array ? closeBracket : closeBrace)) return this.#close(offset);
        break;
    }
    throw this.#fault(offset);
  }

  #startValue(byte: number, offset: number): number {
    const frame = this.#frames.at(-1) as Frame;
    frame.valueStart = offset;
    frame.first = byte;
    if (byte === quote) return this.#startString(offset, false);
    if (byte === openBrace || byte === openBracket) {
      const level = this.#frames.length;
      if (level === 1 && opened.has(frame.key)) return this.#open(offset, byte === openBracket, false);
      if (level === 2 && frame.array && byte === openBrace) return this.#open(offset, false, true);
      this.#state = State.nested;
      this.#depth = 0;
      return offset;
    }
    if (byte === comma || byte === colon || byte === closeBrace || byte === closeBracket) throw this.#fault(offset);
    this.#tokenStart = offset;
    this.#state = State.scalar;
    return offset;
  }

  #startString(offset: number, isKey: boolean): number {
    this.#tokenStart = offset;
    this.#isKey = isKey;
    this.#state = State.string;
    return offset + 1;
  }

  #open(offset: number, array: boolean, isElement: boolean): number {
    this.#frames.push({
      array,
      isElement,
      members: [],
      elements: [],
      type: undefined,
      role: undefined,
      namespaced: false,
      images: false,
      output: undefined,
      key: "",
      keyStart: 0,
      valueStart: offset,
      first: 0,
    });
    if (this.#frames.length === 1) this.#object = { start: offset, end: offset };
    this.#state = array ? State.valueOrClose : State.keyOrClose;
    return offset + 1;
  }

  #close(offset: number): number {
    const frame = this.#frames.pop() as Frame;
    if (this.#frames.length > 0) {
      this.#valueEnds(offset + 1, frame);
    } else {
      this.#members = frame.members;
      this.#object = { start: this.#object.start, end: offset + 1 };
      this.#state = State.done;
    }
    return offset + 1;
  }

  #valueEnds(end: number, inner?: Frame): void {
    const frame = this.#frames.at(-1) as Frame;
    const { valueStart: start, first } = frame;
    if (frame.array) {
      frame.elements.push(inner === undefined ? { start, end, first } : elementOf(start, end, first, inner));
    } else if (!frame.isElement) {
      const members = inner !== undefined && !inner.array ? inner.members : undefined;
      const elements = inner?.array ? inner.elements : undefined;
      frame.members.push({
        key: frame.key,
        keyStart: frame.keyStart,
        value: { start, end, first, members, elements },
      });
    } else if (frame.key === "type" || frame.key === "role") {
      frame[frame.key] = first === quote ? this.#decode(start, end) : undefined;
    } else if (frame.key === "output") {
      frame.output = first;
    } else if (frame.key === "namespace") {
      frame.namespaced = true;
    }
    this.#state = State.commaOrClose;
  }

  /** To behind the closing quote, or to the end of the chunk. */
  #string(chunk: Buffer, from: number): number {
    const end = closingQuote(chunk, this.#escaped ? from + 1 : from);
    this.#escaped = end === openEscaped;
    if (end < 0) return chunk.length;
    this.#stringEnds(this.#base + end + 1);
    return end + 1;
  }

  #stringEnds(end: number): void {
    if (this.#state === State.nestedString) {
      this.#state = State.nested;
      if (end - this.#tokenStart === imageType.length) this.#nestedWord(this.#tokenStart, end);
      return;
    }
    if (!this.#isKey) {
      this.#valueEnds(end);
      return;
    }
    const frame = this.#frames.at(-1) as Frame;
    frame.keyStart = this.#tokenStart;
    frame.key = this.#key(this.#tokenStart, end, frame.isElement);
    this.#state = State.colon;
  }

  /** Of an element's keys only those are decoded that can be one that is told of: as long, or longer when they are escaped. */
  #key(start: number, end: number, isElement: boolean): string {
    const plain = this.#isPlain(start, end);
    if (isElement && plain && !toldLengths.has(end - start)) return "";
    return this.#decode(start, end, plain);
  }

  /** Whether a string literal stands for its own bytes, as nearly all short ones do. One that lies across chunks is not looked at. */
  #isPlain(start: number, end: number): boolean {
    const chunk = this.#chunk;
    if (start < this.#base) return false;
    for (let at = start + 1 - this.#base; at < end - 1 - this.#base; at++) {
      const byte = chunk[at] as number;
      if (byte < 0x20 || byte > 0x7e || byte === backslash) return false;
    }
    return true;
  }

  #decode(start: number, end: number, plain = this.#isPlain(start, end)): string {
    if (plain) return this.#chunk.toString("latin1", start + 1 - this.#base, end - 1 - this.#base);
    const text = this.#chunks.slice(start, end).toString("utf8");
    try {
      return JSON.parse(text) as string;
    } catch {
      throw new ScanFault("a JSON string", JSON.stringify(text.slice(0, 40)), start);
    }
  }

  /** Iterative, so that nesting depth costs no stack. */
  #nested(chunk: Buffer, from: number): number {
    const length = chunk.length;
    let depth = this.#depth;
    let at = from;
    while (at < length) {
      const byte = chunk[at++];
      if (byte === quote) {
        const end = closingQuote(chunk, at);
        if (end < 0) {
          this.#depth = depth;
          this.#state = State.nestedString;
          this.#tokenStart = this.#base + at - 1;
          this.#escaped = end === openEscaped;
          return length;
        }
        if (end - at === imageType.length - 2) this.#nestedWord(this.#base + at - 1, this.#base + end + 1);
        at = end + 1;
        continue;
      }
      if (byte === openBrace || byte === openBracket) depth++;
      else if (byte === closeBrace || byte === closeBracket) {
        depth--;
        if (depth === 0) {
          this.#valueEnds(this.#base + at);
          return at;
        }
      }
    }
    this.#depth = depth;
    return at;
  }

  #nestedWord(start: number, end: number): void {
    if (this.#chunks.slice(start, end).equals(imageType)) (this.#frames.at(-1) as Frame).images = true;
  }

  #scalar(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && isScalarByte(chunk[at] as number)) at++;
    const end = this.#base + at;
    if (end - this.#tokenStart > longestScalar) throw this.#fault(this.#tokenStart);
    if (at === chunk.length) return at;
    const text = this.#chunks.slice(this.#tokenStart, end).toString("latin1");
    if (!scalar.test(text)) throw this.#fault(this.#tokenStart);
    this.#valueEnds(end);
    return at;
  }

  #fault(offset: number, found?: string): ScanFault {
    const expected = expectations[this.#state] as string;
    if (found !== undefined) return new ScanFault(expected, found, offset);
    const byte = this.#chunks.slice(offset, offset + 1)[0] ?? 0;
    return new ScanFault(expected, JSON.stringify(String.fromCharCode(byte)), offset);
  }
}

function elementOf(start: number, end: number, first: number, inner: Frame): Element {
  const { type, role, namespaced, images, output } = inner;
  return { start, end, first, type, role, namespaced, images, output };
}

function isScalarByte(byte: number): boolean {
  return (
    byte !== 0x20 &&
    byte !== 0x0a &&
    byte !== 0x0d &&
    byte !== 0x09 &&
    byte !== comma &&
    byte !== closeBrace &&
    byte !== closeBracket &&
    byte !== colon
  );
}
