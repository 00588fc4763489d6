/** JSON texts as no printer would write them: white space anywhere, escaped keys, duplicate keys, numbers of any form. */
import fc from "fast-check";

const space = fc.stringMatching(/^[ \n\r\t]{0,3}$/);
const number = fc.stringMatching(/^-?(?:0|[1-9][0-9]{0,20})(?:\.[0-9]{1,5})?(?:[eE][+-]?[0-9]{1,2})?$/);
const anyString = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom('"', "\\", '\\"', "}", "]{,:", "</think>", "é漢😀"),
);

/**
 * Keys hold no backslash (nodejs/node#63785): once V8 14.6 has parsed `{"a":1,"\\":2}`, it reads any escaped key in that place as the same one:
 * `{"a":1,"\u0062":2}` becomes `{a: 1, "\\": 2}`. The scanner does not, so the two could not be compared.
 */
const anyKey = anyString.filter((text) => !text.includes("\\"));

/** A string literal, some of its characters written as \u escapes. */
const stringText = (value: fc.Arbitrary<string>) =>
  fc.tuple(value, fc.array(fc.boolean(), { maxLength: 40 })).map(([text, escaped]) => {
    const units = text.split("").map((unit, index) => {
      const code = unit.charCodeAt(0);
      const lone = code >= 0xd800 && code <= 0xdfff;
      if (escaped[index] || lone) return `\\u${code.toString(16).padStart(4, "0")}`;
      return JSON.stringify(unit).slice(1, -1);
    });
    return `"${units.join("")}"`;
  });

const { value } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom("true", "false", "null"),
    number,
    stringText(anyString),
    tie("array"),
    tie("object"),
  ),
  array: fc
    .tuple(space, fc.array(fc.tuple(space, tie("value"), space), { maxLength: 4 }))
    .map(([inner, items]) => `[${items.length === 0 ? inner : items.map((parts) => parts.join("")).join(",")}]`),
  object: fc
    .array(fc.tuple(stringText(anyKey), space, tie("value")), { maxLength: 4 })
    .map((members) => `{${members.map(([key, gap, text]) => `${key}${gap}:${gap}${text}${gap}`).join(",")}}`),
}));

export const valueText = value;

/** An object text; members named by `known` are likely, and likely to come twice. */
export function objectText(known: Readonly<Record<string, fc.Arbitrary<string>>>): fc.Arbitrary<string> {
  const named = Object.entries(known).map(([key, text]) =>
    fc.tuple(stringText(fc.constant(key)), fc.oneof(text, value)),
  );
  const member = fc.oneof(...named, fc.tuple(stringText(anyKey), value));
  return fc
    .tuple(space, fc.array(fc.tuple(space, member, space), { maxLength: 8 }), space)
    .map(([before, members, after]) => {
      const inner = members
        .map(([left, [key, text], right]) => `${left}${key}${right}:${left}${text}${right}`)
        .join(",");
      return `${before}{${inner}}${after}`;
    });
}
