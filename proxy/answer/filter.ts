/** Something that stands in the way of an answer's bytes and may change them. */
export interface AnswerFilter {
  /** Bytes to pass on now; may be `chunk` itself or empty. */
  push(chunk: Buffer): Buffer;
  /** What was held back, at the end of the answer. Called once, after the last `push`. */
  end(): Buffer;
}
