import { expect, test } from "vitest";
import type { Turn } from "../../fleet-runs/conversations.ts";
import { answersBy, summed, wrongWith } from "../../fleet-runs/judge.ts";
import { modelOf, scripts } from "../../fleet-runs/models.ts";

const answerOf = (count = 0) => Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");
const [byA, byB] = [answerOf(scripts.A.answerTokens), answerOf(scripts.B.answerTokens)];
const whole: Turn = {
  ...{ began: 1000, ended: 1500, status: 200, end: "complete", words: "", text: byA, thoughts: 0 },
  ...{ items: [], thread: "t", called: false },
};
const declared = [
  { model: "A", from: 0, to: 2000 },
  { model: "B", from: 1400, to: 9000 },
] as const;

test("a whole answer of a model that was declared while it ran is right, and so is a call of a tool", () => {
  expect(wrongWith(whole, declared)).toBeNull();
  expect(wrongWith({ ...whole, text: byB }, declared)).toBeNull();
  expect(wrongWith({ ...whole, text: "", called: true }, declared)).toBeNull();
});

test.each<[string, Partial<Turn>]>([
  ["cut with status 200: reset", { end: "cut", words: "reset", text: "word1 word2" }],
  ["failed with status 503: loading", { end: "failed", status: 503, words: "loading" }],
  ["it thought: 7 tokens", { thoughts: 7 }],
  ["an answer of nobody", { text: `${byA} word41` }],
  ["B answered, which was not declared then", { text: byB, began: 100, ended: 1300 }],
  ["A answered, which was not declared then", { began: 2100, ended: 2600 }],
])("it says of a request: %s", (words, change) => {
  expect(wrongWith({ ...whole, ...change }, declared)).toContain(words);
});

test("answers are told apart by their model, and faults of a kind are told once", () => {
  expect([modelOf(byA), modelOf(byB), modelOf("word1")]).toEqual(["A", "B", null]);
  expect(answersBy([whole, whole, { ...whole, text: byB }, { ...whole, called: true }])).toEqual({ A: 2, B: 1 });
  expect(summed(["cut", "late", "cut"])).toBe("cut (2 times); late");
});
