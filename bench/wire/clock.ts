/** One clock for the load side and the stand-in: both run on this machine, and the monotonic clock is the kernel's. */

/** Microseconds, whole. */
export function microseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.trunc(nanoseconds / 1_000);
}

/** As in nearly all text, nothing that whoever looks for thoughts or code has to stop at. */
const mark = "@";
const digits = 15;

/** The text of a token: when it was written. It stands in the answer's own text, so that it also passes a peer that writes the answer anew. */
export function stamp(): string {
  return mark + String(microseconds()).padStart(digits, "0");
}

/** Calls back with the time in every stamp; returns what may be the beginning of another one. */
export function readStamps(bytes: Buffer, found: (written: number) => void): Buffer | undefined {
  let at = bytes.indexOf(mark);
  while (at >= 0) {
    if (bytes.length < at + 1 + digits) return bytes.subarray(at);
    found(Number(bytes.toString("latin1", at + 1, at + 1 + digits)));
    at = bytes.indexOf(mark, at + 1 + digits);
  }
  return undefined;
}
