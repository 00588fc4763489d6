/** Server-sent events as byte ranges: finding where one ends, and what it holds, without a copy. */

const lineFeed = 10;
const carriageReturn = 13;
const colon = 58;
const space = 32;

const blankLine = Buffer.from("\n\n");
const blankLineCrLf = Buffer.from("\n\r\n");

/**
 * Index behind the last blank line, 0 when there is none: what follows belongs to an event that is not complete.
 * Line ends are LF or CRLF; nobody is known to send a lone CR, and such a stream is one event that ends with the answer.
 */
export function lastEventEnd(bytes: Buffer): number {
  if (endsWithBlankLine(bytes)) return bytes.length;
  const plain = bytes.lastIndexOf(blankLine);
  const behind = plain < 0 ? 0 : plain + blankLine.length;
  const crLf = bytes.subarray(behind).lastIndexOf(blankLineCrLf);
  return crLf < 0 ? behind : behind + crLf + blankLineCrLf.length;
}

export function hasBlankLine(bytes: Buffer): boolean {
  return endsWithBlankLine(bytes) || bytes.includes(blankLine) || bytes.includes(blankLineCrLf);
}

/** With this chunk the event before it may be complete: the blank line may have been split. */
export function mayEndEvent(chunk: Buffer): boolean {
  return chunk[0] === lineFeed || chunk[0] === carriageReturn || hasBlankLine(chunk);
}

export function endsWithBlankLine(bytes: Uint8Array): boolean {
  const { length } = bytes;
  if (bytes[length - 1] !== lineFeed) return false;
  const before = bytes[length - 2];
  return before === lineFeed || (before === carriageReturn && bytes[length - 3] === lineFeed);
}

/** One event of a stream. A reader is used over and over, so that an event costs no object. */
export class EventReader {
  /** Index behind the event's blank line. */
  end = 0;
  /** The `event:` field's value; empty without one. */
  nameStart = 0;
  nameEnd = 0;
  /** From the first data line's value to the last one's end. */
  dataStart = 0;
  dataEnd = 0;
  dataLines = 0;

  /** Reads the event that begins at `from`; false when its end is not among the bytes. A blank line alone is an event without data. */
  read(bytes: Buffer, from: number): boolean {
    this.nameStart = this.nameEnd = this.dataStart = this.dataEnd = this.dataLines = 0;
    let at = from;
    for (;;) {
      const feed = bytes.indexOf(lineFeed, at);
      if (feed < 0) return false;
      const lineEnd = feed > at && bytes[feed - 1] === carriageReturn ? feed - 1 : feed;
      if (lineEnd === at) {
        this.end = feed + 1;
        return true;
      }
      this.#line(bytes, at, lineEnd);
      at = feed + 1;
    }
  }

  #line(bytes: Buffer, start: number, end: number): void {
    if (isField(bytes, start, end, "data")) {
      if (this.dataLines === 0) this.dataStart = valueStart(bytes, start + 4, end);
      this.dataEnd = end;
      this.dataLines += 1;
    } else if (isField(bytes, start, end, "event")) {
      this.nameStart = valueStart(bytes, start + 5, end);
      this.nameEnd = end;
    }
  }
}

/** A copy of an event in which only data is left between `start` and `end`, so that JSON over several lines keeps its places. */
export function withDataOnly(event: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.from(event);
  for (let feed = event.indexOf(lineFeed, start); feed >= 0 && feed < end; feed = event.indexOf(lineFeed, feed + 1)) {
    const line = feed + 1;
    const next = event.indexOf(lineFeed, line);
    const lineEnd = next < 0 ? event.length : next;
    copy.fill(space, feed, isField(event, line, lineEnd, "data") ? valueStart(event, line + 4, lineEnd) : lineEnd);
  }
  return copy;
}

function isField(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  const behind = start + name.length;
  if (behind > end) return false;
  if (behind < end && bytes[behind] !== colon && bytes[behind] !== carriageReturn) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** One blank behind the colon belongs to the form, not to the value. */
function valueStart(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || bytes[at] !== colon) return Math.min(at, end);
  return at + 1 < end && bytes[at + 1] === space ? at + 2 : at + 1;
}
