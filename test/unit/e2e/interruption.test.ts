import { expect, test } from "vitest";
import { moments, overlapping } from "../../e2e/interruption.ts";
import { formsFoundIn, formsOf } from "../../e2e/planted-secret.ts";

const log = (...lines: string[]) => lines.map((line) => `2026-01-01T00:00:00.000Z ${line}`).join("\n");

test("two changes at once are seen in the log of changes, whichever ends first", () => {
  expect(overlapping(log("begin 1 a", "begin 2 b", "end 1 a", "end 2 b"))).not.toBe("");
  expect(overlapping(log("begin 1 a", "begin 2 b", "end 2 b", "end 1 a"))).not.toBe("");
});

test("changes one after the other, and one that was killed, are no overlap", () => {
  expect(overlapping(log("begin 1 a", "end 1 a", "begin 2 b", "end 2 b"))).toBe("");
  expect(overlapping(log("begin 1 a", "begin 2 b", "end 2 b"))).toBe("");
});

test("moments lie spread over the whole run, half of them with everything killed, and a seed gives them again", () => {
  const twelve = moments(12, 5);
  expect(twelve.map(({ at }) => Math.floor(at * 12))).toEqual([...Array(12).keys()]);
  expect(twelve.filter(({ victims }) => victims === "all")).toHaveLength(6);
  expect(moments(12, 5)).toEqual(twelve);
});

test.each([0, 1, 2, 3])("a planted secret is found in base64 when %i bytes stand before it", (before) => {
  const secret = "sk+team/a=1";
  const text = Buffer.from(`${"x".repeat(before)}${secret}yyyy`).toString("base64");
  expect(formsFoundIn(text, formsOf(secret))).not.toEqual([]);
  expect(formsFoundIn(Buffer.from(`${"x".repeat(before)}another secret`).toString("base64"), formsOf(secret))).toEqual(
    [],
  );
});
