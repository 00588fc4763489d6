/** A request body that is scanned while it arrives and whose parts can then be read one by one: nothing is parsed before somebody asks. */
import { Chunks } from "./chunks.ts";
import type { Member, Span, Value } from "./outline.ts";
import { Scanner } from "./scan.ts";

export class JsonBody {
  readonly chunks = new Chunks();
  readonly #scanner = new Scanner(this.chunks);

  /** The whole of it at once. Throws `ScanFault` when it is not one JSON object. */
  static of(bytes: Buffer): JsonBody {
    const body = new JsonBody();
    body.push(bytes);
    body.end();
    return body;
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#scanner.push(chunk);
  }

  end(): void {
    this.#scanner.end();
  }

  /** LM Studio's parser takes no byte order mark, so a rewritten body goes without. */
  get byteOrderMark(): boolean {
    return this.#scanner.byteOrderMark;
  }

  get members(): readonly Member[] {
    return this.#scanner.members;
  }

  /** Of the top object, its brackets included. */
  get object(): Span {
    return this.#scanner.object;
  }

  /** The value that `JSON.parse` would give for `key`: the last of several. */
  find(key: string): Value | undefined {
    return findMember(this.members, key);
  }

  /** Throws `SyntaxError` when the value is not JSON inside. */
  value(key: string): unknown {
    const span = this.find(key);
    return span === undefined ? undefined : this.parse(span);
  }

  parse(span: Span): unknown {
    return JSON.parse(this.source(span));
  }

  /** The JSON text of a part. */
  source(span: Span): string {
    return this.chunks.slice(span.start, span.end).toString("utf8");
  }

  /** The value when it is a string, else undefined; never parses anything bigger. */
  text(key: string): string | undefined {
    const found = this.find(key);
    return found?.first === 0x22 ? (this.parse(found) as string) : undefined;
  }
}

export function findMember(members: readonly Member[], key: string): Value | undefined {
  for (let i = members.length - 1; i >= 0; i--) if (members[i]?.key === key) return members[i]?.value;
  return undefined;
}
