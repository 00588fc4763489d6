/** What a server's answer is good for, judged by its head alone. Pure. */
import type { IncomingHttpHeaders } from "node:http";

export interface Asked {
  /** First byte that was asked for: what lies in the part file already. */
  readonly offset: number;
  /** Of the bytes that this address sent before; null when it sent none, or told nothing. */
  readonly validator: string | null;
  /** Whole length in bytes, when it is known from elsewhere. */
  readonly size: number | null;
}

export type Verdict =
  /** Save what comes at `at` of the part file, after throwing away the first `skip` bytes. */
  | { readonly do: "save"; readonly at: number; readonly skip: number; readonly total: number | null }
  /** Everything is here already. */
  | { readonly do: "complete" }
  /** What is here is of another version: begin anew. */
  | { readonly do: "restart" }
  /** This address may do better later, another one now. */
  | { readonly do: "retry"; readonly reason: string }
  /** This address will never do. */
  | { readonly do: "refuse"; readonly reason: string };

export function judgeAnswer(asked: Asked, status: number, headers: IncomingHttpHeaders): Verdict {
  const { offset, size } = asked;
  if (status === 416) {
    const whole = Number(/^bytes \*\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1] ?? Number.NaN);
    if (offset > 0 && whole === offset && (size === null || size === whole)) return { do: "complete" };
    return offset > 0 ? { do: "restart" } : { do: "refuse", reason: "it refuses the whole file (416)" };
  }
  if (status >= 500 || status === 429 || status === 408)
    return { do: "retry", reason: `the server answered ${status}` };
  if (status === 206) return judgePartial(asked, headers);
  if (status !== 200) return { do: "refuse", reason: `it answered ${status}` };
  const total = lengthOf(headers);
  if (total !== null && size !== null && total !== size) return wrongLength(total, size);
  if (offset === 0) return { do: "save", at: 0, skip: 0, total: total ?? size };
  // A server without ranges: the same version is gone through again, and nothing that is here is given up.
  const same = asked.validator !== null && strongValidator(headers) === asked.validator;
  return same && (total === null || total >= offset)
    ? { do: "save", at: offset, skip: offset, total: total ?? size }
    : { do: "save", at: 0, skip: 0, total: total ?? size };
}

function judgePartial({ offset, validator, size }: Asked, headers: IncomingHttpHeaders): Verdict {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
  if (range === null) return { do: "retry", reason: "the server answered 206 without saying which bytes" };
  const [start, end] = [Number(range[1]), Number(range[2])];
  if (start !== offset || end < start)
    return { do: "retry", reason: `the server sent bytes ${start}-${end} when asked from ${offset} on` };
  const total = range[3] === "*" ? size : Number(range[3]);
  if (total !== null && size !== null && total !== size) return wrongLength(total, size);
  if (total !== null && end >= total)
    return { do: "retry", reason: `the server sent bytes ${start}-${end} of ${total}` };
  const length = lengthOf(headers);
  if (length !== null && length !== end - start + 1)
    return { do: "retry", reason: `the server announced ${length} bytes for ${start}-${end}` };
  const now = strongValidator(headers);
  // If-Range should have kept it from that.
  if (offset > 0 && validator !== null && now !== null && now !== validator) return { do: "restart" };
  return { do: "save", at: offset, skip: 0, total };
}

const wrongLength = (found: number, expected: number): Verdict => ({
  do: "refuse",
  reason: `its file has ${found} bytes instead of ${expected}`,
});

function lengthOf(headers: IncomingHttpHeaders): number | null {
  const text = headers["content-length"];
  return text === undefined ? null : Number(text);
}

/** A weak ETag may not stand in If-Range. */
export function strongValidator({ etag, "last-modified": date }: IncomingHttpHeaders): string | null {
  return etag !== undefined && !etag.startsWith("W/") ? etag : (date ?? null);
}
