/** A request body whose members can be read one by one: nothing is parsed before somebody asks for it. */
import { hasByteOrderMark, type ObjectSpan, type Span, scanDocument } from "./scan.ts";

export class JsonBody {
  readonly bytes: Buffer;
  readonly object: ObjectSpan;

  /** Throws `ScanFault` when `bytes` is not one JSON object. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.object = scanDocument(bytes);
  }

  /** Where the value lies that `JSON.parse` would give for `key`. */
  span(key: string): Span | undefined {
    return this.object.members.findLast((member) => member.key === key)?.value;
  }

  /** Throws `SyntaxError` when the value is not JSON inside. */
  value(key: string): unknown {
    const span = this.span(key);
    return span === undefined ? undefined : this.parse(span);
  }

  parse(span: Span): unknown {
    return JSON.parse(this.bytes.toString("utf8", span.start, span.end));
  }

  /** The value when it is a string, else undefined; never parses anything bigger. */
  text(key: string): string | undefined {
    const span = this.span(key);
    if (span === undefined || this.bytes[span.start] !== 0x22) return undefined;
    return this.parse(span) as string;
  }

  /** LM Studio's parser takes no byte order mark, so a rewritten body goes without. */
  get byteOrderMark(): boolean {
    return hasByteOrderMark(this.bytes);
  }
}
