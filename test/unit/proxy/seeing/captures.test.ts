import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shapeOf } from "../../../../proxy/seeing/body-shape.ts";
import { Captures } from "../../../../proxy/seeing/captures.ts";
import { failureOf, recordOf } from "./records.ts";

const shapeOfText = (text: string) => shapeOf(Buffer.from(text));

describe("a body's shape", () => {
  it("says what a request is made of and nothing of what it says", () => {
    const body = {
      model: "qwen",
      stream: true,
      messages: [{ role: "user", content: "secret words" }],
      top_p: 1,
      tools: [],
    };
    const shape = shapeOfText(JSON.stringify(body));
    expect(shape.members).toEqual([
      { name: "model", is: "string", length: 4 },
      { name: "stream", is: "boolean" },
      { name: "messages", is: "list", length: 1 },
      { name: "top_p", is: "number" },
      { name: "tools", is: "list", length: 0 },
    ]);
    expect(JSON.stringify(shape)).not.toContain("secret");
  });

  it("counts members whose names could be somebody's words, and does not repeat them", () => {
    const shape = shapeOfText('{"model":"m","What is my password?":1,"__proto__":{"a":1}}');
    expect(shape).toMatchObject({ members: [{ name: "model", is: "string" }], otherMembers: 2 });
  });

  it.each([
    ["", "invalid"],
    ["{", "invalid"],
    ["[1,2]", "list"],
    ["null", "null"],
    ['"secret"', "string"],
    ["\u0000\u0001", "invalid"],
    [`${"[".repeat(100_000)}`, "invalid"],
    [" ".repeat(2 * 1024 * 1024 + 1), "too-large"],
  ])("has a word for %j", (text, json) => {
    expect(shapeOfText(text)).toMatchObject({ bytes: Buffer.byteLength(text), json });
  });

  it("never throws and never repeats a value, whatever comes", () => {
    const marked = fc.jsonValue().map((value) => JSON.stringify({ model: "MARK", list: ["MARK", value], MARK: value }));
    fc.assert(fc.property(marked, (text) => !JSON.stringify(shapeOfText(text)).includes("MARK")));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => shapeOf(Buffer.from(bytes)).bytes === bytes.length),
    );
  });
});

const headers = [
  "Authorization",
  "Bearer key-of-team-a",
  "X-Api-Key",
  "key-2",
  "Content-Type",
  "application/json",
  "Cookie",
  "c=1",
];
const body = () => Buffer.from('{"model":"qwen","input":"secret words"}');

describe("captures", () => {
  it("keep of a failed request what helps, without keys and without words", () => {
    const captures = new Captures(() => 5);
    captures.finished(failureOf(), headers, body);
    expect(captures.list()).toEqual([
      {
        record: failureOf(),
        headers: [
          { name: "authorization" },
          { name: "x-api-key" },
          { name: "content-type", value: "application/json" },
          { name: "cookie" },
        ],
        body: {
          bytes: 39,
          json: "object",
          members: [
            { name: "model", is: "string", length: 4 },
            { name: "input", is: "string", length: 12 },
          ],
        },
      },
    ]);
    expect(JSON.stringify(captures.list())).not.toMatch(/key-of-team-a|key-2|secret/);
  });

  it("keep what LM Studio itself refused, and nothing that went well", () => {
    const captures = new Captures(() => 5);
    captures.finished(recordOf({ status: 400 }), headers, body);
    captures.finished(recordOf(), headers, body);
    captures.finished(recordOf({ outcome: "client-gone", status: 0 }), headers, body);
    captures.finished(failureOf({ path: "/readyz" }), headers, body);
    expect(captures.list()).toMatchObject([{ record: { status: 400 } }]);
  });

  it("keep only the latest ones, the newest first, and fewer as soon as fewer are wanted", () => {
    let size = 3;
    const captures = new Captures(() => size);
    for (let i = 0; i < 10; i++) captures.finished(failureOf({ requestId: `r-${i}` }), headers, body);
    const ids = () => captures.list().map(({ record }) => record.requestId);
    expect(ids()).toEqual(["r-9", "r-8", "r-7"]);
    size = 1;
    expect(ids()).toEqual(["r-9"]);
  });

  it("do not look at a body as long as nobody wants captures", () => {
    const captures = new Captures(() => 0);
    captures.finished(failureOf(), headers, () => expect.unreachable("the body was asked for"));
    expect(captures.list()).toEqual([]);
  });

  it("stay small, whatever a client sends", () => {
    const captures = new Captures(() => 1);
    const many = Array.from({ length: 4000 }, (_, i) => (i % 2 === 0 ? "accept" : "y".repeat(500)));
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`member${i}`, i])));
    const long = "z".repeat(100_000);
    captures.finished(failureOf({ path: long, model: long, message: long }), many, () => Buffer.from(wide));
    expect(JSON.stringify(captures.list()).length).toBeLessThan(16_384);
  });
});
