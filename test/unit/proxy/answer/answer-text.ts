/** Answers with tags, pieces of tags and code marks at random places. */
import fc from "fast-check";

const tags = ["<think>", "</think>", "<think>", "</think>", "<th", "ink>", "</", "think>", "<", "<div>"];
const marks = ["`", "``", "```", "~~~", "~", "```js\n", "\n```\n"];
const spaces = [" ", "\n", "\n\n", "\t", "\r\n"];
const words = ["so", "Yes.", "é漢😀", '"', "\\", "\\u003c", "\u0001", "\u2028", "/"];

export const answerText = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...tags) },
      { weight: 2, arbitrary: fc.constantFrom(...marks) },
      { weight: 3, arbitrary: fc.constantFrom(...spaces) },
      { weight: 3, arbitrary: fc.constantFrom(...words) },
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(""));

/** The text as it is generated: cut anywhere, also within a character of two units, and with pieces of nothing. */
export const inPieces = (text: fc.Arbitrary<string>): fc.Arbitrary<string[]> =>
  fc.tuple(text, fc.array(fc.nat(), { maxLength: 30 })).map(([whole, cuts]) => splitAt(whole, cuts));

export function splitAt<Whole extends { readonly length: number; slice(from: number, to: number): Whole }>(
  whole: Whole,
  cuts: readonly number[],
): Whole[] {
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  return places.slice(1).map((place, index) => whole.slice(places[index] as number, place));
}
