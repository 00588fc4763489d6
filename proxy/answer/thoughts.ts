/**
 * Finds leaked thoughts in one text, character by character, and says which bytes of it go.
 *
 * At the start of a text `<think>` opens a thought for certain, and what is never closed is all thought. Later on it may be a mention:
 * only a thought that is closed goes, and none in code. A `</think>` without a beginning goes at the start, and where it is alone on its line.
 *
 * Reading the result again finds nothing more. Hence a tag directly behind a part of a tag or behind a backtick is none:
 * cutting it would join what stands around it to a new one.
 */
import { CodeSpans, isBlank } from "./code-spans.ts";

const opening = "<think>";
const closing = "</think>";

const lineFeed = 10;
const lessThan = 60;
const slash = 47;
const backslash = 92;
const letterU = 117;

const undecided = Number.POSITIVE_INFINITY;

/** Bytes are named by where they lie in the whole stream, so that a thought may span any number of events. */
export class ThoughtCutter {
  /** Thoughts that were found. */
  thoughts = 0;
  /** The first byte whose fate is open; `Infinity` when everything so far is decided. */
  heldFrom = undecided;
  /** What goes: starts and ends in turn, ascending. A thought over several events covers the bytes between their texts as well. */
  readonly #cuts: number[] = [];
  readonly #code = new CodeSpans();
  /** Something other than white space was passed. */
  #begun = false;
  /** White space goes too: a thought at the start was cut, and the answer follows. */
  #dropBlanks = false;
  /** Characters of a tag that were read, 0 outside one. */
  #matched = 0;
  #closes = false;
  #tagFrom = 0;
  /** Tags that are open within the thought, 0 outside one. */
  #depth = 0;
  #thoughtFrom = 0;
  /** The thought stands at the start: it goes as it comes, closed or not. */
  #certain = false;
  /** A closing tag that began a line; it goes if nothing follows on it. */
  #loneFrom = -1;
  #loneTo = 0;

  /** Text without `<`, backtick and tilde changes nothing but what can be read again from its end. */
  get settled(): boolean {
    return this.#depth === 0 && this.#matched === 0 && this.#loneFrom < 0 && !this.#dropBlanks && this.#code.settled;
  }

  /** Reads a JSON string's content, `bytes` from `start` to `end`; `origin` is where byte 0 of `bytes` lies in the stream. */
  read(bytes: Uint8Array, start: number, end: number, origin: number): void {
    let at = start;
    while (at < end) {
      let code = bytes[at] as number;
      let next = at + 1;
      if (code === backslash) {
        next = bytes[at + 1] === letterU ? at + 6 : at + 2;
        code = unescaped(bytes, at + 1);
      }
      this.#read(code, origin + at, origin + next);
      at = next;
    }
  }

  /** The text is complete: what was held turns out to be a mention. */
  end(): void {
    if (this.#loneFrom >= 0 && this.#matched === 0) this.#cutLone();
    this.heldFrom = undecided;
  }

  /** Adds what goes of the bytes from `start` to `end` to `into`, as starts and ends in turn. */
  cutsWithin(start: number, end: number, into: number[]): void {
    const cuts = this.#cuts;
    for (let i = 0; i < cuts.length; i += 2) pushOverlap(cuts[i] as number, cuts[i + 1] as number, start, end, into);
    if (this.#depth > 0 && this.#certain) pushOverlap(this.#thoughtFrom, undecided, start, end, into);
  }

  get cutsSomething(): boolean {
    return this.#cuts.length > 0 || (this.#depth > 0 && this.#certain);
  }

  /** All bytes so far have been dealt with. */
  forgetCuts(): void {
    this.#cuts.length = 0;
  }

  #read(code: number, from: number, to: number): void {
    if (this.#depth > 0) {
      this.#think(code, to);
      return;
    }
    if (this.#dropBlanks) {
      if (isBlank(code) || code === lineFeed) {
        this.#cut(from, to);
        return;
      }
      this.#dropBlanks = false;
    }
    if (this.#matched > 0) {
      if (this.#matches(code)) this.#endTag(to);
      else this.#pass(code);
    } else if (code === lessThan && this.#code.allowsTag) {
      this.#matched = 1;
      this.#tagFrom = from;
      if (this.#loneFrom < 0) this.heldFrom = from;
    } else if (this.#loneFrom < 0) {
      this.#code.read(code);
      if (!this.#begun && code !== lineFeed && !isBlank(code)) this.#begun = true;
    } else if (code === lineFeed) {
      this.#cutLone();
      this.heldFrom = undecided;
      this.#code.read(code);
    } else if (!isBlank(code)) {
      this.#pass(code);
    }
  }

  /** What looked like a tag is text, and `code` follows it. */
  #pass(code: number): void {
    this.#matched = 0;
    this.#loneFrom = -1;
    this.heldFrom = undecided;
    this.#begun = true;
    this.#code.readWord();
    this.#code.read(code);
  }

  /** Reads one more character of a tag; false when it is none. */
  #matches(code: number): boolean {
    if (this.#matched === 1) this.#closes = code === slash;
    if ((this.#closes ? closing : opening).charCodeAt(this.#matched) !== code) return false;
    this.#matched += 1;
    return true;
  }

  get #tagIsComplete(): boolean {
    return this.#matched === (this.#closes ? closing : opening).length;
  }

  #endTag(to: number): void {
    if (!this.#tagIsComplete) return;
    this.#matched = 0;
    if (!this.#closes) {
      // With a thought behind it the line holds nothing but tags.
      if (this.#loneFrom >= 0) this.#cutLone();
      this.#depth = 1;
      this.#thoughtFrom = this.#tagFrom;
      this.#certain = !this.#begun;
      if (this.#certain) this.thoughts += 1;
      this.heldFrom = this.#certain ? undecided : this.#tagFrom;
    } else if (!this.#begun) {
      this.#cut(this.#tagFrom, to);
      this.#dropBlanks = true;
      this.heldFrom = undecided;
    } else if (this.#code.lineIsBlank && this.#loneFrom < 0) {
      this.#loneFrom = this.#tagFrom;
      this.#loneTo = to;
    } else {
      this.#loneFrom = -1;
      this.heldFrom = undecided;
      this.#code.readWord();
    }
  }

  #think(code: number, to: number): void {
    if (this.#matched === 0 || !this.#matches(code)) {
      this.#matched = code === lessThan ? 1 : 0;
      return;
    }
    if (!this.#tagIsComplete) return;
    this.#matched = 0;
    this.#depth += this.#closes ? -1 : 1;
    if (this.#depth > 0) return;
    this.#cut(this.#thoughtFrom, to);
    if (this.#certain) this.#dropBlanks = true;
    else this.thoughts += 1;
    this.heldFrom = undecided;
  }

  #cutLone(): void {
    this.#cut(this.#loneFrom, this.#loneTo);
    this.#loneFrom = -1;
  }

  #cut(from: number, to: number): void {
    this.#cuts.push(from, to);
  }
}

function pushOverlap(from: number, to: number, start: number, end: number, into: number[]): void {
  const first = Math.max(from, start);
  const last = Math.min(to, end);
  if (first < last) into.push(first, last);
}

/** The character that the escape behind a backslash stands for; anything that is no ASCII character may be any other one. */
function unescaped(bytes: Uint8Array, at: number): number {
  const code = bytes[at] as number;
  if (code === letterU) {
    let value = 0;
    for (let i = 1; i <= 4; i++) value = value * 16 + hexDigit(bytes[at + i] as number);
    return value;
  }
  if (code === 110) return lineFeed;
  if (code === 116) return 9;
  if (code === 114) return 13;
  // \b and \f are control characters, all others stand for themselves.
  return code === 98 || code === 102 ? 8 : code;
}

function hexDigit(code: number): number {
  return code <= 57 ? code - 48 : (code | 32) - 87;
}
