import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { Chunks } from "../../../../proxy/splice/chunks.ts";
import { changeElements, changeMembers } from "../../../../proxy/splice/edit.ts";
import { objectText, valueText } from "../json-text.ts";

const changed = (text: string, changes: ReadonlyMap<string, string | undefined>) => {
  const bytes = Buffer.from(text);
  const body = JsonBody.of(bytes);
  const chunks = body.chunks.edited(changeMembers(body.object, body.members, changes));
  return { text: Buffer.concat(chunks).toString(), chunks, bytes };
};

describe("changing members", () => {
  const changes = fc
    .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.option(valueText, { nil: undefined })), {
      selector: ([key]) => key,
    })
    .map((entries) => new Map(entries));

  it("parses to the object with exactly those members set and removed", () => {
    fc.assert(
      fc.property(objectText({ a: valueText, b: valueText, c: valueText }), changes, (text, wanted) => {
        const expected = JSON.parse(text) as Record<string, unknown>;
        for (const [key, value] of wanted) {
          if (value === undefined) delete expected[key];
          else expected[key] = JSON.parse(value);
        }
        expect(JSON.parse(changed(text, wanted).text)).toEqual(expected);
      }),
    );
  });

  it("keeps every byte of the other members, in order, and copies none of them", () => {
    fc.assert(
      fc.property(objectText({ a: valueText }), valueText, (text, value) => {
        const { chunks, bytes } = changed(text, new Map([["a", value]]));
        const kept = chunks.filter((chunk) => chunk.buffer === bytes.buffer && chunk.byteOffset >= bytes.byteOffset);
        const views = kept.filter((chunk) => chunk.byteOffset + chunk.length <= bytes.byteOffset + bytes.length);
        const member = JsonBody.of(bytes).members.findLast(({ key }) => key === "a");
        const untouched = bytes.length - (member === undefined ? 0 : member.value.end - member.value.start);
        expect(views.reduce((sum, chunk) => sum + chunk.length, 0)).toBeGreaterThanOrEqual(untouched);
      }),
    );
  });

  it("removes every duplicate, so that no earlier one comes to light", () => {
    expect(changed('{"a":1,"b":2,"a":3}', new Map([["a", undefined]])).text).toBe('{"b":2}');
  });

  it("cuts and inserts at the same places, however the bytes came in chunks", () => {
    const edit = fc.tuple(fc.nat(40), fc.nat(6), fc.constantFrom("", "+", "long text"));
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 8 }), fc.array(edit, { maxLength: 5 }), (parts, wanted) => {
        const chunks = new Chunks();
        for (const part of parts) chunks.push(Buffer.from(part));
        const whole = Buffer.from(parts.join(""));
        const edits: { start: number; end: number; text: string }[] = [];
        for (const [skip, length, text] of wanted) {
          const start = (edits.at(-1)?.end ?? 0) + skip;
          if (start + length <= whole.length) edits.push({ start, end: start + length, text });
        }
        let expected = Buffer.alloc(0);
        let at = 0;
        for (const { start, end, text } of edits) {
          expected = Buffer.concat([expected, whole.subarray(at, start), Buffer.from(text)]);
          at = end;
        }
        expected = Buffer.concat([expected, whole.subarray(at)]);
        expect(Buffer.concat(chunks.edited(edits))).toEqual(expected);
      }),
    );
  });

  it("refuses edits that overlap", () => {
    const edits = [
      { start: 0, end: 4, text: "" },
      { start: 2, end: 6, text: "" },
    ];
    const chunks = new Chunks();
    chunks.push(Buffer.from("0123456789"));
    expect(() => chunks.edited(edits)).toThrow(RangeError);
  });
});

describe("changing elements of a list", () => {
  const list = fc.array(valueText, { maxLength: 8 });
  const change = fc.tuple(fc.nat(7), fc.oneof(fc.constant(""), valueText, fc.constant("1,2")));

  it("parses to the list with exactly those elements replaced, removed and added", () => {
    fc.assert(
      fc.property(list, fc.array(change), fc.array(valueText, { maxLength: 2 }), (texts, changes, added) => {
        const body = JsonBody.of(Buffer.from(`{"input":[ ${texts.join(" , ")} ],"z":1}`));
        const wanted = new Map(changes.filter(([index]) => index < texts.length));
        const found = body.find("input");
        if (found === undefined) throw new Error("the list was not found");
        const result = Buffer.concat(body.chunks.edited(changeElements(found, wanted, added))).toString();
        const expected = texts.map((text, index) => wanted.get(index) ?? text).filter((text) => text !== "");
        expect(JSON.parse(result)).toEqual(JSON.parse(`{"input":[${[...expected, ...added].join(",")}],"z":1}`));
      }),
    );
  });
});
