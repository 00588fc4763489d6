import fc from "fast-check";
import { expect, test } from "vitest";
import { splitWords } from "../../engine/pulumi-language-nodejs/program.ts";
import { LineTooLong, LONGEST_LINE, LogLines } from "../../engine/pulumi-resource-command/log-lines.ts";
import { quoted } from "../../engine/pulumi-resource-command/words.ts";

test("however the output is cut into chunks, the same lines are logged", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "é", "\n", "\r") });
  fc.assert(
    fc.property(text, fc.array(fc.nat(8), { minLength: 1 }), (output, cuts) => {
      const bytes = Buffer.from(output);
      const lines: string[] = [];
      const log = new LogLines((line) => lines.push(line));
      for (let from = 0, i = 0; from < bytes.length; i++) {
        const size = 1 + (cuts[i % cuts.length] ?? 0);
        log.push(bytes.subarray(from, from + size));
        from += size;
      }
      log.end();
      const expected = output.split("\n");
      if (expected.at(-1) === "") expected.pop();
      expect(lines).toEqual(expected.map((line) => line.replace(/\r$/, "")));
    }),
  );
});

test("a line is too long from 65,536 bytes on, whether or not its end has come", () => {
  const lines: string[] = [];
  const log = new LogLines((line) => lines.push(line));
  log.push(Buffer.from(`${"x".repeat(LONGEST_LINE)}\n`));
  expect(lines.map((line) => line.length)).toEqual([65_535]);
  expect(() => log.push(Buffer.alloc(65_536, "x"))).toThrow(LineTooLong);
  expect(() => new LogLines(() => {}).push(Buffer.from(`${"x".repeat(65_536)}\n`))).toThrow(LineTooLong);
});

test("quoting escapes what a terminal must not see and leaves every script readable", () => {
  expect(quoted('a"b\\c\n\t\u0000\u001b[31m\u200b\u{e0001}')).toBe(
    '"a\\"b\\\\c\\n\\t\\x00\\x1b[31m\\u200b\\U000e0001"',
  );
  expect(quoted("grüße 你好 😀 <&>'")).toBe('"grüße 你好 😀 <&>\'"');
});

test("node arguments are split as a shell splits them", () => {
  expect(splitWords(`  --a=1  --b "x y" 'p "q"' c\\ d --e="f g" "" `)).toEqual([
    "--a=1",
    "--b",
    "x y",
    'p "q"',
    "c d",
    "--e=f g",
    "",
  ]);
});
