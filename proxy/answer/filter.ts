/** Something that stands in the way of an answer's bytes and may change them. */
export interface AnswerFilter {
  /** Bytes to pass on now; may be `chunk` itself or empty. */
  push(chunk: Buffer): Buffer;
  /** What was held back, at the end of the answer. Called once, after the last `push`. */
  end(): Buffer;
}

/** What the second makes of what the first lets through. */
export function chained(first: AnswerFilter | undefined, second: AnswerFilter | undefined): AnswerFilter | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    push: (chunk) => second.push(first.push(chunk)),
    end: () => Buffer.concat([second.push(first.end()), second.end()]),
  };
}
