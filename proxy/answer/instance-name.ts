/** Puts the client's name of a model where LM Studio says that of its instance, in whatever form an answer comes. */
import { besideName, modelOfInstance } from "../../infra/spec/model-names.ts";
import type { AnswerFilter } from "./filter.ts";

/** Undefined for an instance that has its model's own name. */
export function instanceNameFilter(instance: string): AnswerFilter | undefined {
  const model = modelOfInstance(instance);
  return model === instance ? undefined : new Replacing(Buffer.from(besideName(model)), Buffer.from(model));
}

/** Bytes for bytes: the name is ours and in no other text, and nothing that JSON would write in another way is in it. */
class Replacing implements AnswerFilter {
  readonly #from: Buffer;
  readonly #to: Buffer;
  /** The end of what came, as far as it may be the beginning of the name. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(from: Buffer, to: Buffer) {
    this.#from = from;
    this.#to = to;
  }

  push(chunk: Buffer): Buffer {
    const text = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const pieces: Buffer[] = [];
    let at = 0;
    for (;;) {
      const found = text.indexOf(this.#from, at);
      if (found < 0) break;
      pieces.push(text.subarray(at, found), this.#to);
      at = found + this.#from.length;
    }
    const kept = this.#begun(text.subarray(at));
    this.#rest = text.subarray(text.length - kept);
    pieces.push(text.subarray(at, text.length - kept));
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  end(): Buffer {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  /** How many bytes at the end are the name's first ones. */
  #begun(text: Buffer): number {
    for (let length = Math.min(this.#from.length - 1, text.length); length > 0; length--)
      if (text.subarray(text.length - length).equals(this.#from.subarray(0, length))) return length;
    return 0;
  }
}
