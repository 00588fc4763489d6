import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AnswerForm } from "../../../../proxy/answer/leak.ts";
import { AnswerMeter } from "../../../../proxy/answer/meter.ts";
import { splitAt } from "./answer-text.ts";
import { dialects, plainPrinting, printed } from "./dialects.ts";

function metered(form: AnswerForm, chunks: readonly Buffer[], stream = true): AnswerMeter {
  const meter = new AnswerMeter(form, stream);
  for (const chunk of chunks) meter.observe(chunk);
  return meter;
}

const usage = {
  responses: {
    input_tokens: 11,
    input_tokens_details: { cached_tokens: 4 },
    output_tokens: 7,
    output_tokens_details: { reasoning_tokens: 2 },
    total_tokens: 18,
  },
  chat: {
    prompt_tokens: 11,
    completion_tokens: 7,
    total_tokens: 18,
    prompt_tokens_details: { cached_tokens: 4 },
    completion_tokens_details: { reasoning_tokens: 2 },
  },
  stats: { input_tokens: 11, total_output_tokens: 7, reasoning_output_tokens: 2, tokens_per_second: 43.7 },
};

const wholes: readonly [AnswerForm, string, object, object][] = [
  [
    "responses",
    "a response",
    { output: [], tools: [{ usage: { type: "string" } }], usage: usage.responses, metadata: { usage: {} } },
    {},
  ],
  [
    "chat",
    "a chat completion",
    { choices: [{ message: { content: '"usage":{"x_tokens":1' } }], usage: usage.chat, stats: {} },
    {},
  ],
  ["completions", "a completion", { choices: [{ text: "hi" }], usage: usage.chat }, {}],
  ["native-chat", "a native chat", { output: [], stats: usage.stats }, { cached: 0 }],
  [
    "messages",
    "a message",
    {
      content: [],
      usage: { input_tokens: 5, cache_read_input_tokens: 4, cache_creation_input_tokens: 2, output_tokens: 7 },
    },
    { reasoning: 0 },
  ],
];

const counted = { input: 11, output: 7, cached: 4, reasoning: 2 };
const someCuts = fc.oneof(
  fc.array(fc.nat(), { maxLength: 12 }),
  fc.constant(Array.from({ length: 3000 }, (_, i) => i)),
);

describe("the tokens of", () => {
  it.each(wholes)("%s: %s are read wherever the network cut it", (form, _name, answer, difference) => {
    const print = fc.constantFrom(JSON.stringify(answer), JSON.stringify(answer, null, 2));
    fc.assert(
      fc.property(print, someCuts, (text, cuts) => {
        const meter = metered(form, splitAt<Buffer>(Buffer.from(text), cuts), false);
        expect(meter.usage()).toEqual({ ...counted, ...difference });
        expect(meter.sawToken).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  const ends: Record<string, object[]> = {
    responses: [
      { type: "response.completed", response: { usage: usage.responses, output: [{ text: "x".repeat(90_000) }] } },
    ],
    chat: [{ object: "chat.completion.chunk", choices: [], usage: usage.chat }],
    messages: [{ type: "message_delta", delta: {}, usage: { output_tokens: 7 } }],
    "native-chat": [{ type: "chat.end", result: { output: [{ content: "x".repeat(9000) }], stats: usage.stats } }],
  };

  it.each(dialects)("a stream of $form are those that its end tells", (dialect) => {
    const words = Array.from({ length: 40 }, (_, index) => ` w${index}`);
    const events = dialect
      .events([words])
      .filter((event) => typeof event === "string" || !JSON.stringify(event).includes('_tokens":1}'));
    const start = { type: "message_start", message: { usage: { input_tokens: 11, output_tokens: 1 } } };
    const all = [...(dialect.form === "messages" ? [start] : []), ...events, ...(ends[dialect.form] as object[])];
    const bytes = printed(all as Record<string, unknown>[]);
    const known = {
      responses: {},
      chat: {},
      messages: { cached: 0, reasoning: 0 },
      "native-chat": { cached: 0 },
      completions: {},
    };
    fc.assert(
      fc.property(someCuts, (cuts) => {
        const meter = metered(dialect.form, splitAt<Buffer>(bytes, cuts));
        expect(meter.usage()).toEqual({ ...counted, ...known[dialect.form] });
      }),
      { numRuns: 60 },
    );
  });

  it.each(dialects)("a stream of $form that tells none are its pieces", (dialect) => {
    const words = Array.from({ length: 40 }, (_, index) => ` w${index}`);
    const events = dialect
      .events([words])
      .filter((event) => typeof event === "string" || !JSON.stringify(event).includes("_tokens"));
    fc.assert(
      fc.property(someCuts, fc.constantFrom("\n", "\r\n"), fc.boolean(), (cuts, end, names) => {
        const bytes = printed(events, { ...plainPrinting, end, names });
        const meter = metered(dialect.form, splitAt<Buffer>(bytes, cuts));
        expect(meter.events).toBe(40);
        expect(meter.usage()).toEqual({ input: 0, output: 40, cached: 0, reasoning: 0 });
      }),
      { numRuns: 60 },
    );
  });

  it("an answer that says nothing about them are unknown", () => {
    expect(metered("chat", [Buffer.from('{"error":"no"}')], false).usage()).toBeUndefined();
    expect(metered("chat", [printed([{ error: { message: "no" } }])]).usage()).toBeUndefined();
  });
});

describe("the first token", () => {
  const choice = (delta: object) => ({ choices: [{ index: 0, delta, finish_reason: null }] });
  const long = { response: { instructions: "x".repeat(200_000), usage: null } };
  const beginnings: readonly [AnswerForm, object[], object][] = [
    [
      "responses",
      [
        { type: "response.created", ...long },
        { type: "response.in_progress", ...long },
        { type: "response.output_text.delta", delta: "" },
      ],
      { type: "response.output_text.delta", delta: "a" },
    ],
    ["responses", [{ type: "response.created" }], { type: "response.reasoning_text.delta", delta: "a" }],
    ["responses", [{ type: "response.created" }], { type: "response.function_call_arguments.done", arguments: "{}" }],
    ["chat", [choice({ role: "assistant", content: "" })], choice({ content: "a" })],
    ["chat", [choice({ role: "assistant" })], choice({ reasoning_content: "a" })],
    ["chat", [], choice({ tool_calls: [{ index: 0, function: { name: "", arguments: "{" } }] })],
    [
      "messages",
      [{ type: "message_start" }, { type: "content_block_start" }, { type: "ping" }],
      { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "a" } },
    ],
    ["messages", [{ type: "message_start" }], { type: "content_block_delta", delta: { partial_json: "{" } }],
    [
      "native-chat",
      [{ type: "chat.start" }, { type: "prompt_processing.progress", progress: 0.5 }, { type: "message.start" }],
      { type: "message.delta", content: "a" },
    ],
    ["native-chat", [{ type: "reasoning.start" }], { type: "reasoning.delta", content: "a" }],
    ["completions", [{ choices: [] }], { choices: [{ text: "a" }] }],
  ];

  it.each(beginnings)("of %s is none of %j, but %j", (form, before, first) => {
    const early = printed(before as Record<string, unknown>[]);
    const bytes = printed([first as Record<string, unknown>]);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 5 }), (cuts, more) => {
        const meter = metered(form, splitAt<Buffer>(early, cuts));
        expect(meter.sawToken).toBe(false);
        for (const chunk of splitAt<Buffer>(bytes.subarray(0, -1), more)) meter.observe(chunk);
        expect(meter.sawToken).toBe(false);
        meter.observe(bytes.subarray(-1));
        expect(meter.sawToken).toBe(true);
        expect(meter.events).toBe(1);
      }),
      { numRuns: 30 },
    );
  });

  it("counts even when it came with others in one chunk", () => {
    const words = Array.from({ length: 100 }, (_, index) => `w${index}`);
    for (const dialect of dialects) expect(metered(dialect.form, [printed(dialect.events([words]))]).events).toBe(100);
  });
});
