/** Turns good bytes into ones that are nearly good. */
import type { Random } from "./random.ts";

const longestPiece = 40;

/** One to four small injuries; `words` are what is put in on purpose. */
export function mutate(bytes: Buffer, random: Random, words: readonly string[]): Buffer {
  let result = bytes;
  for (let left = 1 + random.below(4); left > 0; left--) result = injure(result, random, words);
  return result;
}

function injure(bytes: Buffer, random: Random, words: readonly string[]): Buffer {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + random.below(longestPiece));
  const piece = bytes.subarray(at, to);
  const around = (...middle: Buffer[]) => Buffer.concat([bytes.subarray(0, at), ...middle, bytes.subarray(to)]);
  switch (random.below(7)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
      return flipped;
    }
    case 1:
      return around();
    case 2:
      return around(piece, piece);
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return around(random.bytes(1 + random.below(4)));
    case 5:
      return around(Buffer.from(random.pick(words), "latin1"), piece);
    default:
      return around(Buffer.from(random.pick(words), "latin1"));
  }
}

/** The bytes in up to five pieces. */
export function pieces(bytes: Buffer, random: Random): Buffer[] {
  const cuts = Array.from({ length: random.below(5) }, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
  return [...cuts, bytes.length].map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end));
}
