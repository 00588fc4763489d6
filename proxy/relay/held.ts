/** An answer that is not passed on yet: it may turn out to be an error in disguise, or it is wanted whole. */
import { errorAlone } from "../errors/lm-studio.ts";

/** An answer that begins like this may be one of LM Studio's errors with status 200. */
const errorStart = /^\s*\{\s*"error"/;
const longestErrorStart = 64;
const longestHeldError = 16_384;
/** A whole answer longer than this is passed on as it is. */
const longestWholeAnswer = 33_554_432;

export class Held {
  readonly status: number;
  readonly headers: readonly string[];
  /** The answer is wanted whole, not only its beginning. */
  readonly whole: boolean;
  readonly chunks: Buffer[] = [];
  #size = 0;

  constructor(status: number, headers: readonly string[], whole: boolean) {
    this.status = status;
    this.headers = headers;
    this.whole = whole;
  }

  /** False when there is no reason to hold it any longer. */
  add(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    this.#size += chunk.length;
    return this.whole ? this.#size <= longestWholeAnswer : this.#mayBeError();
  }

  body(): Buffer {
    return Buffer.concat(this.chunks, this.#size);
  }

  #mayBeError(): boolean {
    if (this.#size > longestHeldError) return false;
    const start = Buffer.concat(this.chunks.slice(0, 8)).toString("latin1", 0, longestErrorStart);
    return start.length < 16 || errorStart.test(start);
  }
}

/** The words of an error that stands for an answer; undefined for every other body. */
export function errorInstead(body: Buffer): string | undefined {
  return errorStart.test(body.toString("latin1", 0, longestErrorStart)) ? errorAlone(body) : undefined;
}
