import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { ScanFault } from "../../../../proxy/splice/outline.ts";
import { objectText, valueText } from "../json-text.ts";

describe("scanning an object", () => {
  it("finds the members that JSON.parse finds, with the last of several winning", () => {
    fc.assert(
      fc.property(objectText({ model: valueText }), (text) => {
        const body = JsonBody.of(Buffer.from(text));
        const expected = JSON.parse(text) as Record<string, unknown>;
        const keys = new Set(body.members.map((member) => member.key));
        expect(keys).toEqual(new Set(Object.keys(expected)));
        for (const key of keys) expect(body.value(key)).toEqual(expected[key]);
      }),
    );
  });

  it("finds the elements of a list where they lie, and what is told of them", () => {
    const element = fc.oneof(
      valueText,
      objectText({
        type: fc.constantFrom('"message"', "7"),
        role: fc.constantFrom('"us\\u0065r"', "null", '"system"'),
        output: fc.constantFrom('"text"', "[]", "null"),
        namespace: fc.constantFrom('"n"', "null"),
      }),
    );
    fc.assert(
      fc.property(fc.array(element, { maxLength: 6 }), (items) => {
        const body = JsonBody.of(Buffer.from(`{"input":[ ${items.join(" ,\n")} ]}`));
        const found = body.find("input")?.elements ?? [];
        expect(found.map((span) => body.source(span))).toEqual(items.map((item) => item.trim()));
        found.forEach((span, index) => {
          const parsed = JSON.parse(items[index] as string) as Record<string, unknown> | null;
          const own = typeof parsed === "object" && !Array.isArray(parsed) ? parsed : null;
          for (const key of ["type", "role"] as const) {
            expect(span[key]).toBe(typeof own?.[key] === "string" ? own[key] : undefined);
          }
          expect(span.namespaced ?? false).toBe(own !== null && Object.hasOwn(own, "namespace"));
          expect(span.output === 0x22).toBe(typeof own?.output === "string");
          expect(span.output === 0x5b).toBe(Array.isArray(own?.output));
        });
      }),
    );
  });

  it("finds the same wherever the network cut the body", () => {
    const text = objectText({
      model: valueText,
      reasoning: objectText({ effort: fc.constantFrom('"none"', '"\\u006eone"') }),
      messages: fc.array(objectText({ role: fc.constantFrom('"user"') }), { maxLength: 3 }).map((list) => `[${list}]`),
    });
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 10 }), fc.boolean(), (whole, cuts, mark) => {
        const bytes = Buffer.from((mark ? "\ufeff" : "") + whole);
        const expected = JsonBody.of(bytes);
        const body = new JsonBody();
        const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
        for (let i = 1; i < places.length; i++) body.push(bytes.subarray(places[i - 1], places[i]));
        body.end();
        expect(body.members).toEqual(expected.members);
        expect(body.byteOrderMark).toBe(mark);
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
          expect(() => JsonBody.of(Buffer.from(text))).toThrow(ScanFault);
        } else {
          expect(() => JsonBody.of(Buffer.from(text))).not.toThrow();
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
    expect(() => JsonBody.of(Buffer.from(text))).toThrow(expected);
  });

  it("costs no stack, however deep the nesting", () => {
    const depth = 200_000;
    const text = `{"a":${"[".repeat(depth)}${"]".repeat(depth)},"model":"m"}`;
    expect(JsonBody.of(Buffer.from(text)).text("model")).toBe("m");
  });

  it("reads behind a byte order mark", () => {
    const body = JsonBody.of(Buffer.from('\ufeff{"model":"m"}'));
    expect(body.byteOrderMark).toBe(true);
    expect(body.text("model")).toBe("m");
  });
});

it("an image is seen wherever in an element its type stands, however the bytes came in chunks", () => {
  const word = fc.constantFrom("input_image", "input_text", "input_imagE", 'an "input_image"', "", "\\");
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.array(tie("any"), { maxLength: 3 }),
      fc.dictionary(word, tie("any"), { maxKeys: 3 }),
    ),
  })).any;
  const holds = (inside: unknown): boolean =>
    inside === "input_image" ||
    (typeof inside === "object" &&
      inside !== null &&
      (Array.isArray(inside) ? inside.some(holds) : Object.entries(inside).some((pair) => pair.some(holds))));
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), fc.array(fc.nat(400), { maxLength: 6 }), (contents, cuts) => {
      const bytes = Buffer.from(JSON.stringify({ input: contents.map((content) => ({ content: [content] })) }));
      const body = new JsonBody();
      const places = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length].toSorted((a, b) => a - b);
      for (const [index, end] of places.entries()) body.push(bytes.subarray(places[index - 1] ?? 0, end));
      body.end();
      expect(body.find("input")?.elements?.map(({ images }) => images)).toEqual(contents.map(holds));
    }),
    { numRuns: 1_000 },
  );
});
