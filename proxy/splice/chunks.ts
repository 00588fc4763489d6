/** A body as it came off the wire: a list of chunks that is never joined, since copying a megabyte costs more than walking a list. */
import type { Edit } from "./edit.ts";

export class Chunks {
  readonly list: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    this.list.push(chunk);
    this.#length += chunk.length;
  }

  /** The bytes from `start` to `end`; a view where they lie in one chunk, else a copy. */
  slice(start: number, end: number): Buffer {
    const pieces: Buffer[] = [];
    this.#collect(start, end, pieces);
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  /** The body with the edits made, as chunks; unchanged stretches are views. Throws `RangeError` when edits overlap. */
  edited(edits: readonly Edit[]): Buffer[] {
    if (edits.length === 0) return this.list;
    const ordered = edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
    const result: Buffer[] = [];
    let at = 0;
    for (const edit of ordered) {
      if (edit.start < at) throw new RangeError(`edits overlap at byte ${edit.start}`);
      this.#collect(at, edit.start, result);
      if (edit.text !== "") result.push(Buffer.from(edit.text));
      at = edit.end;
    }
    this.#collect(at, this.#length, result);
    return result;
  }

  #collect(start: number, end: number, into: Buffer[]): void {
    let base = 0;
    for (const chunk of this.list) {
      if (base >= end) return;
      const from = Math.max(start - base, 0);
      const to = Math.min(end - base, chunk.length);
      if (from < to) into.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      base += chunk.length;
    }
  }
}
