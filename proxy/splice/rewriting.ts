/** Everything that several rules want changed in one body, as one set of edits: rules do not know of each other. */
import type { JsonBody } from "./body.ts";
import { changeMembers, type Edit } from "./edit.ts";

export class Rewriting {
  readonly body: JsonBody;
  /** Of the top object; one map, because two lists of additions would not agree on their commas. */
  readonly #changes = new Map<string, string | undefined>();
  readonly #inner: Edit[] = [];

  constructor(body: JsonBody) {
    this.body = body;
  }

  /** A top member's new JSON text; `undefined` removes it. */
  set(key: string, text: string | undefined): void {
    this.#changes.set(key, text);
  }

  /** Inside a member that nobody sets. */
  edit(...edits: readonly Edit[]): void {
    this.#inner.push(...edits);
  }

  edits(): readonly Edit[] {
    const { body } = this;
    const edits = this.#changes.size === 0 ? [] : changeMembers(body.object, body.members, this.#changes);
    // LM Studio's parser takes no byte order mark, so a rewritten body goes without.
    if (body.byteOrderMark) edits.push({ start: 0, end: 3, text: "" });
    return this.#inner.length === 0 ? edits : [...edits, ...this.#inner];
  }

  /** The new body as chunks. */
  chunks(): Buffer[] {
    return this.body.chunks.edited(this.edits());
  }
}
