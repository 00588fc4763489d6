import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import wabt from "wabt";
import { closingQuote, compiled, open, openEscaped } from "../../../../proxy/splice/closing-quote.ts";

const source = join(import.meta.dirname, "../../../../proxy/splice/closing-quote.wat");

it("what runs is what the source says", async () => {
  const { parseWat } = await wabt();
  const module = parseWat("closing-quote.wat", await readFile(source, "utf8"), { simd: true });
  expect(Buffer.from(module.toBinary({}).buffer).toString("base64")).toBe(compiled);
  module.destroy();
});

/** One byte after the other, as anybody would write it. */
function expected(chunk: Buffer, from: number): number {
  let escaped = false;
  for (let at = from; at < chunk.length; at++) {
    if (escaped) escaped = false;
    else if (chunk[at] === 0x5c) escaped = true;
    else if (chunk[at] === 0x22) return at;
  }
  return escaped ? openEscaped : open;
}

it("a string ends where a reader of single bytes says, however long it is and wherever its backslashes lie", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }).map((text) => text.replaceAll('"', "")),
    fc.constantFrom("\\\\", '\\"', "\\", "\\n", "x".repeat(15), "x".repeat(700), "\\".repeat(17)),
    fc.constantFrom('"'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.nat(20), fc.nat(80), (pieces, before, from) => {
      // At any place of a larger buffer, as chunks from the network are.
      const whole = Buffer.from(`${"-".repeat(before)}${pieces.join("")}`);
      const chunk = whole.subarray(before);
      const start = Math.min(from, chunk.length);
      expect(closingQuote(chunk, start)).toBe(expected(chunk, start));
    }),
    { numRuns: 2_000 },
  );
});

it("chunks of any size, one after the other, do not mix", () => {
  for (const size of [10, 600, 65_536, 131_072, 131_073, 400_000, 600]) {
    const chunk = Buffer.alloc(size, "a");
    expect(closingQuote(chunk, 0)).toBe(open);
    chunk[size - 1] = 0x22;
    expect(closingQuote(Buffer.from(chunk), 0)).toBe(size - 1);
  }
});
