import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chat } from "../../../../../infra/spec/proof/chat.ts";
import {
  cutFault,
  longPromptFor,
  marker,
  refusalFault,
  refusedSize,
  scaleOf,
  shortPrompts,
} from "../../../../../infra/spec/proof/context.ts";
import { type Spoken, streamEvents } from "../../../../../infra/spec/proof/dialect.ts";
import { answerFault, paceOf, spokenFault } from "../../../../../infra/spec/proof/judge.ts";
import { messages } from "../../../../../infra/spec/proof/messages.ts";
import { responses } from "../../../../../infra/spec/proof/responses.ts";
import { callOf, resultFault, secretNumber } from "../../../../../infra/spec/proof/tools.ts";

const spoken: Spoken = {
  model: "m",
  text: "Four.",
  reasoning: "",
  reasoningTokens: 0,
  inputTokens: 20,
  outputTokens: 2,
  cutShort: false,
  calls: [],
};

describe("an answer", () => {
  test.each([
    [null, "off", {}, 0],
    ["answered by other", "off", { model: "other" }, 0],
    ["7 reasoning tokens", "off", { reasoningTokens: 7 }, 0],
    ["carries reasoning", "off", { reasoning: "hm", reasoningTokens: null }, 0],
    ["think tag", "off", { text: "<think>\n</think> Four." }, 0],
    ["cut 2 thoughts out", "off", {}, 2],
    ["no text came", "off", { text: " " }, 0],
    ["still thinking", "on", { text: "", reasoningTokens: 1024, cutShort: true }, 0],
    [null, "client", { reasoningTokens: 7 }, 0],
    [null, "on", { reasoningTokens: 7, reasoning: "hm" }, 0],
  ] as const)("is judged: %j", (found, thinking, more, leaks) => {
    const fault = spokenFault("m", thinking, { ...spoken, ...more }, leaks);
    if (found === null) expect(fault).toBeNull();
    else expect(fault?.found).toContain(found);
  });

  test("that is an error is none, whatever its status says, and an endpoint that older versions lack is no failure", () => {
    const words = (status: number, body: string, dialect = responses) =>
      answerFault({ status, leaks: 0, body }, dialect.read(JSON.parse(body)), dialect);
    expect(words(200, '{"error":"Model unloaded."}')).toMatchObject({ verdict: "failed" });
    expect(words(200, '{"error":"Unexpected endpoint or method. (POST /v1/responses)"}')?.verdict).toBe("failed");
    expect(words(200, '{"error":"Unexpected endpoint or method. (POST /v1/messages)"}', messages)?.verdict).toBe(
      "unshown",
    );
    expect(words(404, '{"error":{"message":"model m not found"}}', messages)?.verdict).toBe("failed");
  });

  test("that comes as a stream is the same, however it is cut into pieces, and a stream that breaks off is none", () => {
    const events = [
      '{"model":"m","choices":[{"delta":{"role":"assistant","content":"Fo"},"finish_reason":null}]}',
      '{"model":"m","choices":[{"delta":{"content":"ur."},"finish_reason":null}]}',
      '{"model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}',
      '{"model":"m","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0}}}',
      "[DONE]",
    ];
    const text = events.map((event) => `data: ${event}\n\n`).join("");
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), text.length];
        const chunks = at.slice(1).map((end, index) => ({ ms: index, text: text.slice(at[index], end) }));
        expect(chat.read(chat.fold(streamEvents(chunks).map(({ event }) => event)))).toEqual(spoken);
      }),
    );
    const half = streamEvents([{ ms: 0, text: text.slice(0, text.indexOf('"stop"')) }]);
    expect(chat.read(chat.fold(half.map(({ event }) => event)))).toBeNull();
  });

  test("tells its pace only where it is long enough", () => {
    const event = { type: "response.output_text.delta", delta: "a" };
    const events = [10, 20, 30, 40].map((ms) => ({ ms, event }));
    expect(paceOf(events, responses, 31)).toEqual({ firstTokenMs: 10, tokensPerSecond: 1000 });
    expect(paceOf(events, responses, null)).toEqual({ firstTokenMs: 10, tokensPerSecond: null });
    expect(paceOf([], responses, 31)).toEqual({ firstTokenMs: null, tokensPerSecond: null });
  });
});

describe("a long prompt", () => {
  test("fits the declared context and is counted as it was foretold, whatever the tokenizer", () => {
    const scales = fc.record({ perWord: fc.integer({ min: 1, max: 4 }), rest: fc.integer({ min: 8, max: 60 }) });
    fc.assert(
      fc.property(scales, fc.integer({ min: 2_500, max: 1_000_000 }), (truth, declared) => {
        const counted = (words: number) => truth.rest + truth.perWord * words;
        const scale = scaleOf([counted(shortPrompts[0]), counted(shortPrompts[1])]);
        const long = scale && longPromptFor(declared, scale, 1_000, 1e9);
        if (!long) throw new Error("there is room for one");
        expect(counted(long.words)).toBe(long.tokens);
        expect(long.tokens).toBeLessThan(declared);
        expect(long.tokens).toBeGreaterThan(declared * 0.93 - 10);
        expect(cutFault(long, { ...spoken, inputTokens: long.tokens })).toBeNull();
        expect(cutFault(long, { ...spoken, inputTokens: Math.floor(long.tokens * 0.97) })?.verdict).toBe("failed");
      }),
    );
  });

  test("is as long as the time allows on a slow host, and says that it is not all", () => {
    const scale = { perWord: 1, rest: 30 };
    expect(longPromptFor(200_000, scale, 0.3, 45_000)).toMatchObject({ full: false, tokens: 6_750 });
    expect(longPromptFor(200_000, scale, 10, 45_000)).toMatchObject({ full: true });
    expect(longPromptFor(160, scale, 10, 45_000)).toBeNull();
  });

  test("that is not counted shows by its first words, or not at all", () => {
    const long = { words: 1, tokens: 1_000, full: true };
    expect(cutFault(long, { ...spoken, inputTokens: null, text: `It is ${marker}.` })).toBeNull();
    expect(cutFault(long, { ...spoken, inputTokens: null })?.verdict).toBe("unshown");
  });

  test("that is refused tells by which size, in the words of every version", () => {
    const refused = (message: string) => ({ status: 400, leaks: 0, body: JSON.stringify({ error: { message } }) });
    for (const words of [
      "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5453>= n_ctx: 4096).",
      "Cannot truncate prompt with n_keep (15028) >= n_ctx (4096)",
      "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
      "request (25837 tokens) exceeds the available context size (4096 tokens)",
    ]) {
      expect(refusedSize(refused(words).body), words).toBe(4_096);
      expect(refusalFault(refused(words), 8_192, 8_000)).toMatchObject({
        verdict: "failed",
        found: "LM Studio takes 4096 tokens instead of 8192",
      });
    }
    expect(refusalFault(refused("Context size has been exceeded."), 8_192, 8_000).verdict).toBe("unshown");
    expect(refusalFault(refused("bad alloc"), 8_192, 8_000).verdict).toBe("failed");
  });
});

test("a tool that a weak model misses is its weakness, a call without an id is the endpoint's fault", () => {
  const called = (more: object) =>
    callOf({ ...spoken, calls: [{ id: "c", name: "exec_command", arguments: '{"cmd":"cat number.txt"}', ...more }] });
  expect(called({})).toHaveProperty("call");
  expect(called({ name: "cat" })).toMatchObject({ fault: { verdict: "weak" } });
  expect(called({ arguments: '{"cmd":' })).toMatchObject({ fault: { verdict: "weak" } });
  expect(called({ id: "" })).toMatchObject({ fault: { verdict: "failed" } });
  expect(callOf(spoken)).toMatchObject({ fault: { verdict: "weak" } });
  expect(resultFault({ ...spoken, text: `It is ${secretNumber}.` })).toBeNull();
  expect(resultFault(spoken)?.verdict).toBe("weak");
});
