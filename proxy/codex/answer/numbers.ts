/** Sequence numbers and output indexes of an event that passes unread, where more or less was said before it than LM Studio said. */
import type { Output } from "../../answer/output.ts";

const sequence = Buffer.from('"sequence_number":');
const index = Buffer.from('"output_index":');

/** Within a JSON string every quote is escaped, so that no text holds such a key. */
export function addRenumbered(
  output: Output,
  bytes: Buffer,
  from: number,
  to: number,
  sequenceShift: number,
  indexShift: number,
): void {
  const event = bytes.subarray(from, to);
  const places = [shifted(event, sequence, sequenceShift), shifted(event, index, indexShift)]
    .filter((place) => place !== undefined)
    .sort((one, other) => one.start - other.start);
  let at = from;
  for (const { start, end, text } of places) {
    output.add(bytes, at, from + start);
    output.add(text, 0, text.length);
    at = from + end;
  }
  output.add(bytes, at, to);
}

function shifted(event: Buffer, key: Buffer, shift: number) {
  const at = shift === 0 ? -1 : event.indexOf(key);
  if (at < 0) return undefined;
  let start = at + key.length;
  while (event[start] === 32) start += 1;
  let end = start;
  while ((event[end] as number) >= 48 && (event[end] as number) <= 57) end += 1;
  if (end === start) return undefined;
  return { start, end, text: Buffer.from(String(Number(event.toString("latin1", start, end)) + shift)) };
}
