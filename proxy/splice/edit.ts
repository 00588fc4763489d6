/** Edits of a JSON text by byte spans: what no edit names keeps its bytes. */
import type { Member, Span } from "./outline.ts";

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
