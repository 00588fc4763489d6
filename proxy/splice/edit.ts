/** Edits of a JSON text by byte spans: what no edit names keeps its bytes. */
import type { Member, Span, Value } from "./outline.ts";

export interface Edit extends Span {
  /** UTF-8 text that takes the span's place; empty deletes. */
  readonly text: string;
}

/** New JSON text per key; `undefined` removes the member. */
export type MemberChanges = ReadonlyMap<string, string | undefined>;

/**
 * Sets and removes members. `JSON.parse` takes the last of several members with one key, so that is the one that is set; a removal
 * takes all of them. A new member goes behind the last one.
 */
export function changeMembers(object: Span, members: readonly Member[], changes: MemberChanges): Edit[] {
  const edits: Edit[] = [];
  const kept = members.map((member) => !(changes.has(member.key) && changes.get(member.key) === undefined));
  for (let from = 0; from < members.length; from++) {
    if (kept[from]) continue;
    let to = from;
    while (to < members.length && !kept[to]) to++;
    const first = members[from];
    const last = members[to - 1];
    if (first === undefined || last === undefined) break;
    const before = members[from - 1];
    const start = before === undefined ? first.keyStart : before.value.end;
    const end = before === undefined ? (members[to]?.keyStart ?? last.value.end) : last.value.end;
    edits.push({ start, end, text: "" });
    from = to;
  }
  const added: string[] = [];
  for (const [key, text] of changes) {
    if (text === undefined) continue;
    const present = members.findLast((member) => member.key === key);
    if (present === undefined) added.push(`${JSON.stringify(key)}:${text}`);
    else edits.push({ ...present.value, text });
  }
  if (added.length > 0) {
    const at = members.at(-1)?.value.end ?? object.start + 1;
    edits.push({ start: at, end: at, text: (kept.includes(true) ? "," : "") + added.join(",") });
  }
  return edits;
}

/** New JSON text per index; empty removes the element, and several elements may take the place of one. */
export type ElementChanges = ReadonlyMap<number, string>;

/** Changes elements of a list and adds some behind the last. As with members a removed run takes the comma before it along, the first run the one behind it. */
export function changeElements(list: Value, changes: ElementChanges, added: readonly string[]): Edit[] {
  const elements = list.elements ?? [];
  const edits: Edit[] = [];
  const isRemoved = (index: number) => changes.get(index) === "";
  let remaining = false;
  for (let from = 0; from < elements.length; from++) {
    const first = elements[from] as Span;
    if (!isRemoved(from)) {
      remaining = true;
      const text = changes.get(from);
      if (text !== undefined) edits.push({ start: first.start, end: first.end, text });
      continue;
    }
    let to = from;
    while (to < elements.length && isRemoved(to)) to++;
    const before = elements[from - 1];
    const last = elements[to - 1] as Span;
    if (before === undefined) edits.push({ start: first.start, end: elements[to]?.start ?? last.end, text: "" });
    else edits.push({ start: before.end, end: last.end, text: "" });
    from = to - 1;
  }
  if (added.length > 0) {
    const at = elements.at(-1)?.end ?? list.start + 1;
    edits.push({ start: at, end: at, text: (remaining ? "," : "") + added.join(",") });
  }
  return edits;
}
