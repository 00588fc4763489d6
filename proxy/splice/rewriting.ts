/** Everything that several rules want changed in one body, as one set of edits: rules do not know of each other. */
import type { JsonBody } from "./body.ts";
import { changeElements, changeMembers, type Edit } from "./edit.ts";
import type { Element } from "./outline.ts";

interface ListChanges {
  /** By index; empty removes. */
  readonly changes: Map<number, string>;
  readonly added: string[];
}

export class Rewriting {
  readonly body: JsonBody;
  /** Of the top object; one map, because two lists of additions would not agree on their commas. */
  readonly #changes = new Map<string, string | undefined>();
  /** Of the lists in it, by key. */
  readonly #lists = new Map<string, ListChanges>();
  readonly #inner: Edit[] = [];

  constructor(body: JsonBody) {
    this.body = body;
  }

  /** A top member's new JSON text; `undefined` removes it. It wins over changes of the member's elements. */
  set(key: string, text: string | undefined): void {
    this.#changes.set(key, text);
  }

  /** New JSON text of an element of a top list, or of several elements in its place; empty removes it. */
  replace(key: string, index: number, text: string): void {
    this.#list(key).changes.set(index, text);
  }

  /** One more element behind the last of a top list. */
  append(key: string, text: string): void {
    this.#list(key).added.push(text);
  }

  /** How many elements of a top list nobody has removed. */
  remaining(key: string): number {
    let count = this.body.find(key)?.elements?.length ?? 0;
    for (const text of this.#lists.get(key)?.changes.values() ?? []) if (text === "") count--;
    return count;
  }

  /** The last element of a top list that nobody has removed. */
  last(key: string): Element | undefined {
    const changes = this.#lists.get(key)?.changes;
    return this.body.find(key)?.elements?.findLast((_, index) => changes?.get(index) !== "");
  }

  /** Inside a member that nobody sets, and that has no element replaced there. */
  edit(...edits: readonly Edit[]): void {
    this.#inner.push(...edits);
  }

  edits(): readonly Edit[] {
    const { body } = this;
    const edits = this.#changes.size === 0 ? [] : changeMembers(body.object, body.members, this.#changes);
    for (const [key, { changes, added }] of this.#lists) {
      const list = body.find(key);
      if (list?.elements === undefined || this.#changes.has(key)) continue;
      edits.push(...changeElements(list, changes, added));
    }
    // LM Studio's parser takes no byte order mark, so a rewritten body goes without.
    if (body.byteOrderMark) edits.push({ start: 0, end: 3, text: "" });
    return this.#inner.length === 0 ? edits : [...edits, ...this.#inner];
  }

  /** The new body as chunks. */
  chunks(): Buffer[] {
    return this.body.chunks.edited(this.edits());
  }

  #list(key: string): ListChanges {
    const known = this.#lists.get(key) ?? { changes: new Map(), added: [] };
    this.#lists.set(key, known);
    return known;
  }
}
