import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { ScanFault, scanArray, scanDocument } from "../../../../proxy/splice/scan.ts";
import { objectText, valueText } from "../json-text.ts";

describe("scanning an object", () => {
  it("finds the members that JSON.parse finds, with the last of several winning", () => {
    fc.assert(
      fc.property(objectText({ model: valueText }), (text) => {
        const body = new JsonBody(Buffer.from(text));
        const expected = JSON.parse(text) as Record<string, unknown>;
        const keys = new Set(body.object.members.map((member) => member.key));
        expect(keys).toEqual(new Set(Object.keys(expected)));
        for (const key of keys) expect(body.value(key)).toEqual(expected[key]);
      }),
    );
  });

  it("finds the elements of an array where they lie", () => {
    fc.assert(
      fc.property(fc.array(valueText, { maxLength: 6 }), (items) => {
        const text = `[ ${items.join(" ,\n")} ]`;
        const bytes = Buffer.from(text);
        const found = scanArray(bytes).elements.map((span) => bytes.toString("utf8", span.start, span.end));
        expect(found).toEqual(items);
      }),
    );
  });

  it("accepts nothing at its own level that JSON.parse refuses", () => {
    const broken = fc
      .tuple(objectText({}), fc.nat(), fc.constantFrom("", ",", "}", '"', ":", "x", "]"))
      .map(([text, at, what]) => text.slice(0, at % text.length) + what + text.slice((at % text.length) + 1));
    fc.assert(
      fc.property(broken, (text) => {
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          return;
        }
        if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
          expect(() => scanDocument(Buffer.from(text))).toThrow(ScanFault);
        } else {
          expect(() => scanDocument(Buffer.from(text))).not.toThrow();
        }
      }),
    );
  });

  it.each([
    ["nothing", "", "a JSON object"],
    ["an array", "[1]", "a JSON object"],
    ["a cut off value", '{"model":', "a JSON value"],
    ["a cut off string", '{"model":"x', "a closing quote"],
    ["a cut off list", '{"messages":[{"role":"user"}', "a closing bracket"],
    ["a key without quotes", "{model:1}", "a key"],
    ["a trailing comma", '{"a":1,}', "a key"],
    ["two objects", '{"a":1}{"b":2}', "nothing behind the object"],
    ["a number with a leading zero", '{"a":01}', "a JSON value"],
    ["a misspelt literal", '{"a":True}', "a JSON value"],
  ])("says what it expected instead of %s", (_name, text, expected) => {
    expect(() => scanDocument(Buffer.from(text))).toThrow(expected);
  });

  it("costs no stack, however deep the nesting", () => {
    const depth = 200_000;
    const text = `{"a":${"[".repeat(depth)}${"]".repeat(depth)},"model":"m"}`;
    expect(new JsonBody(Buffer.from(text)).text("model")).toBe("m");
  });

  it("reads behind a byte order mark", () => {
    const body = new JsonBody(Buffer.from('\ufeff{"model":"m"}'));
    expect(body.byteOrderMark).toBe(true);
    expect(body.text("model")).toBe("m");
  });
});
