/**
 * What matters of an answer's JSON, with every text left where it lies: members that no dialect keeps text under are skipped, and a
 * string is only the place of its bytes, so that a text can be cut without printing the rest again.
 */

/** A string: the bytes between its quotes, escapes and all. */
export class Literal {
  readonly start: number;
  readonly end: number;

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
  }
}

export type Value = Literal | Outline | readonly Value[] | number | boolean | null;

/** An object; one class for all of them, because objects of one shape are read fastest. */
export class Outline {
  type: Value | undefined = undefined;
  index: Value | undefined = undefined;
  output_index: Value | undefined = undefined;
  content_index: Value | undefined = undefined;
  choices: Value | undefined = undefined;
  delta: Value | undefined = undefined;
  message: Value | undefined = undefined;
  content: Value | undefined = undefined;
  text: Value | undefined = undefined;
  part: Value | undefined = undefined;
  item: Value | undefined = undefined;
  response: Value | undefined = undefined;
  output: Value | undefined = undefined;
  result: Value | undefined = undefined;
  content_block: Value | undefined = undefined;
  finish_reason: Value | undefined = undefined;
  usage: Value | undefined = undefined;
  /** There is a member of another name that is not null. */
  others = false;
}

type Key = Exclude<keyof Outline, "others">;

/** Keys by length; their bytes are compared where they lie. */
const keys: (Key[] | undefined)[] = [];
for (const key of Object.keys(new Outline()) as (keyof Outline)[]) {
  if (key === "others") continue;
  const ofLength = keys[key.length] ?? [];
  ofLength.push(key);
  keys[key.length] = ofLength;
}

const quote = 34;
const comma = 44;
const colon = 58;
const backslash = 92;
const openBracket = 91;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;

/** No dialect keeps a text deeper than this; what lies deeper is skipped. */
const deepest = 12;

class NotJson extends Error {
  override readonly name = "NotJson";
}

/** The outline of the object in `bytes` from `start` to `end`; undefined when there is none. Escaped keys are not recognised. */
export function outlineOf(bytes: Uint8Array, start: number, end: number): Outline | undefined {
  const reader = new Reader(bytes, start, end);
  try {
    return reader.whole();
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

export function isLiteral(bytes: Uint8Array, value: Value | undefined, text: string): boolean {
  return value instanceof Literal && isText(bytes, value.start, value.end, text);
}

export function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  // From the back: names of events differ in their last words.
  for (let i = text.length - 1; i >= 0; i--) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  whole(): Outline | undefined {
    return this.#next() === openBrace ? this.#object(0) : undefined;
  }

  /** The next byte that is not white space, where the reader then stands. */
  #next(): number {
    while (this.#at < this.#end) {
      const code = this.#bytes[this.#at] as number;
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return code;
      this.#at += 1;
    }
    throw new NotJson("cut off");
  }

  #object(depth: number): Outline {
    const outline = new Outline();
    this.#at += 1;
    if (this.#next() === closeBrace) {
      this.#at += 1;
      return outline;
    }
    for (;;) {
      if (this.#next() !== quote) throw new NotJson("expected a key");
      const start = this.#at + 1;
      this.#skipString();
      const key = depth < deepest ? this.#keyAt(start, this.#at - 1) : undefined;
      if (this.#next() !== colon) throw new NotJson("expected a colon");
      this.#at += 1;
      if (key !== undefined) outline[key] = this.#value(depth + 1);
      else if (this.#skipValue()) outline.others = true;
      if (!this.#more(closeBrace)) return outline;
    }
  }

  #list(depth: number): Value[] {
    const list: Value[] = [];
    this.#at += 1;
    if (this.#next() === closeBracket) {
      this.#at += 1;
      return list;
    }
    do list.push(this.#value(depth + 1));
    while (this.#more(closeBracket));
    return list;
  }

  #more(close: number): boolean {
    const code = this.#next();
    this.#at += 1;
    if (code === comma) return true;
    if (code === close) return false;
    throw new NotJson("expected a comma");
  }

  #value(depth: number): Value {
    const code = this.#next();
    const start = this.#at;
    if (code === quote) {
      this.#skipString();
      return new Literal(start + 1, this.#at - 1);
    }
    if (code === openBrace && depth < deepest) return this.#object(depth);
    if (code === openBracket && depth < deepest) return this.#list(depth);
    const something = this.#skipValue();
    return code >= 48 && code <= 57 ? this.#digits(start) : something ? true : null;
  }

  #digits(start: number): number {
    let number = 0;
    for (let i = start; i < this.#at; i++) {
      const digit = (this.#bytes[i] as number) - 48;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    return number;
  }

  #keyAt(start: number, end: number): Key | undefined {
    const candidates = keys[end - start];
    if (candidates === undefined) return undefined;
    for (const key of candidates) if (isText(this.#bytes, start, end, key)) return key;
    return undefined;
  }

  /** False for null. */
  #skipValue(): boolean {
    const code = this.#next();
    if (code === quote) this.#skipString();
    else if (code === openBrace || code === openBracket) this.#skipNested();
    else this.#skipPlain();
    return code !== 110;
  }

  #skipPlain(): void {
    const start = this.#at;
    while (this.#at < this.#end) {
      const code = this.#bytes[this.#at] as number;
      if (code === comma || code === closeBrace || code === closeBracket || code <= 32) break;
      this.#at += 1;
    }
    if (this.#at === start) throw new NotJson("expected a value");
  }

  #skipNested(): void {
    let depth = 0;
    while (this.#at < this.#end) {
      const code = this.#bytes[this.#at] as number;
      if (code === quote) {
        this.#skipString();
        continue;
      }
      this.#at += 1;
      if (code === openBrace || code === openBracket) depth += 1;
      else if ((code === closeBrace || code === closeBracket) && --depth === 0) return;
    }
    throw new NotJson("cut off");
  }

  #skipString(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at + 1;
    while (at < end) {
      const code = bytes[at] as number;
      if (code === quote) {
        this.#at = at + 1;
        return;
      }
      at += code === backslash ? 2 : 1;
    }
    throw new NotJson("cut off");
  }
}
