/** What a scan finds in a body: where its parts lie. Nothing of it is parsed. */

/** Byte offsets in the whole body; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An element of a list, with what is known of an object's own members. */
export interface Element extends Span {
  readonly first: number;
  /** Where they are strings. */
  readonly type?: string | undefined;
  readonly role?: string | undefined;
  /** It has a member `namespace`. */
  readonly namespaced?: boolean | undefined;
  /** A string somewhere inside it is the word `input_image`. */
  readonly images?: boolean | undefined;
  /** First byte of its member `output`. */
  readonly output?: number | undefined;
}

export interface Value extends Span {
  /** First byte: tells strings, objects, lists and scalars apart. */
  readonly first: number;
  /** Of an object that is looked into. */
  readonly members?: readonly Member[] | undefined;
  /** Of a list that is looked into. */
  readonly elements?: readonly Element[] | undefined;
}

export interface Member {
  /** Decoded: `"model"` written as `"\u006dodel"` is `model`. */
  readonly key: string;
  readonly keyStart: number;
  readonly value: Value;
}

/** The bytes are not the JSON that was asked for; `offset` says from which byte on. */
export class ScanFault extends Error {
  override readonly name = "ScanFault";
  readonly offset: number;

  constructor(expected: string, found: string, offset: number) {
    super(`expected ${expected} at byte ${offset}, found ${found}`);
    this.offset = offset;
  }
}
