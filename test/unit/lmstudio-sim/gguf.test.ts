import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readHeader, writeHeader } from "../../lmstudio-sim/gguf/header.ts";
import { writeScriptModel } from "../../lmstudio-sim/gguf/script-model.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstudio-sim-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("whatever is written into a header is read back", async () => {
  const value = fc.oneof(fc.string({ unit: "grapheme" }), fc.nat(), fc.boolean());
  const key = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom("__proto__", "constructor"));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, value), async (values) => {
      const file = join(folder, "any.gguf");
      await writeFile(file, writeHeader(values));
      expect({ ...readHeader(file) }).toEqual({ ...values });
    }),
    { numRuns: 50 },
  );
});

test("a file that is cut anywhere is read as far as it goes, and one that is no GGUF is none", async () => {
  const whole = writeHeader({ a: "text", b: 7, c: true });
  const file = join(folder, "cut.gguf");
  for (let length = 0; length < whole.length; length += 1) {
    await writeFile(file, whole.subarray(0, length));
    expect(Object.keys(readHeader(file) ?? {}).length).toBeLessThan(3);
  }
  await writeFile(file, "not a model at all, but long enough");
  expect(readHeader(file)).toBe(null);
});

test("same options, same bytes, and the size asked for", async () => {
  const [one, two] = [join(folder, "1.gguf"), join(folder, "2.gguf")];
  await writeScriptModel(one, { name: "m", thinkTokens: 3, tokenMs: 1, sizeBytes: 5000 });
  await writeScriptModel(two, { name: "m", tokenMs: 1, thinkTokens: 3, sizeBytes: 5000 });
  expect(await readFile(one)).toEqual(await readFile(two));
  expect((await readFile(one)).length).toBe(5000);
});
