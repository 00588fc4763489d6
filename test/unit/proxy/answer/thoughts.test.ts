import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withoutLeaks } from "../../../../proxy/answer/leak.ts";
import { answerText } from "./answer-text.ts";

function cut(text: string): { text: string; thoughts: number } {
  const { body, leaks } = withoutLeaks("messages", Buffer.from(JSON.stringify({ content: [{ type: "text", text }] })));
  const { content } = JSON.parse(body.toString()) as { content: { text: string }[] };
  return { text: content[0]?.text ?? "", thoughts: leaks };
}

describe("a leaked thought", () => {
  it.each([
    ["at the start", "<think>\nhm\n</think>\n\nYes.", "Yes.", 1],
    ["behind white space", " \n<think>hm</think> Yes.", " \nYes.", 1],
    ["with thoughts within", "<think>a<think>b</think>c</think>Yes.", "Yes.", 1],
    ["followed by another", "<think>a</think>\n<think>b</think>\nYes.", "Yes.", 2],
    ["without an end, at the start", "<think>hm, and", "", 1],
    ["without an end of its own", "<think>a<think>b</think>c", "", 1],
    ["with code in it", "<think>```\n</think>Yes.", "Yes.", 1],
    ["in the middle", "Yes. <think>hm</think>No.", "Yes. No.", 1],
    ["in the middle, over lines", "Yes.\n<think>\nhm\n\nso\n</think>\n\nNo.", "Yes.\n\n\nNo.", 1],
    ["behind code", "```\ncode\n```\n<think>hm</think>\nNo.", "```\ncode\n```\n\nNo.", 1],
    ["behind a span of code", "`a` <think>hm</think>No.", "`a` No.", 1],
    ["behind a backtick that nobody closes", "a ` b\n\nc <think>hm</think>d", "a ` b\n\nc d", 1],
    ["behind a span of three backticks", "a ```\nb``` <think>hm</think>c", "a ```\nb``` c", 1],
    ["behind three backticks that nobody closes", "a ```\n\nb <think>hm</think>c", "a ```\n\nb c", 1],
    ["and nothing else", "<think></think>", "", 1],
  ])("%s is cut", (_name, text, expected, thoughts) => {
    expect(cut(text)).toEqual({ text: expected, thoughts });
  });

  it.each([
    ["at the start", "</think>\n\nYes.", "Yes."],
    ["alone on its line", "Yes.\n</think> \nNo.", "Yes.\n \nNo."],
    ["alone on the last line", "Yes.\n\t</think>", "Yes.\n\t"],
    ["behind a thought at the start", "<think>a</think></think>\nYes.", "Yes."],
  ])("leaves no end of itself %s", (_name, text, expected) => {
    expect(cut(text).text).toBe(expected);
  });
});

describe("a mere mention of the tag", () => {
  it.each([
    ["that is never closed", "The tag <think> begins it."],
    ["that is never closed, with another closed", "The tag <think> begins <think>it</think>."],
    ["in a fence", "Look:\n```html\n<think>hm</think>\n</think>\n```\nSo."],
    ["in a fence within a list", "- Look:\n   ```\n   <think>hm</think>\n   ```"],
    ["in a fence of tildes", "Look:\n~~~~\n<think>hm</think>\n~~~\n<think>hm</think>\n~~~~"],
    ["in a longer fence", "````\n```\n<think>hm</think>\n````"],
    ["in a fence that is not closed", "```\n``` no\n<think>hm</think>"],
    ["on a fence's first line", "``` <think>hm</think>\n```"],
    ["in a span", "It is `<think>hm</think>` that begins it."],
    ["in a span of two backticks", "It is `` ` <think>hm</think> `` that begins it."],
    ["in a span over two lines", "It is `a\n<think>hm</think>` that begins it."],
    ["that is an end at a line's end", "It ends with </think>\nand so on."],
    ["that is an end within a line", "Close it with </think> or not.\n</think> is the end."],
    ["in other letters", "<thinking>hm</thinking> <Think>hm</Think>"],
  ])("stays: %s", (_name, text) => {
    expect(cut(text)).toEqual({ text, thoughts: 0 });
  });
});

it("is cut once: reading the result again finds nothing", () => {
  fc.assert(
    fc.property(answerText, (text) => {
      const once = cut(text).text;
      expect(cut(once)).toEqual({ text: once, thoughts: 0 });
    }),
    { numRuns: 2000 },
  );
});
