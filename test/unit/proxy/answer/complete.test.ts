import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completeChat, completeMessage } from "../../../../proxy/answer/complete.ts";

const chat = (text: string) => completeChat(Buffer.from(text)).toString();

describe("a whole chat answer", () => {
  it("says that nothing was refused, in every choice, and keeps its bytes otherwise", () => {
    const choice = (more: string) => `{"index":0,"message":{${more}"role":"assistant","content":"1.0"},"n":1.50}`;
    const answer = (more: string) => `{"choices":[${choice(more)}, ${choice(more)}]}`;
    expect(chat(answer(""))).toBe(answer('"refusal":null,'));
    expect(chat(answer('"refusal":null,'))).toBe(answer('"refusal":null,'));
  });

  it("gains nothing but that, whatever the model said", () => {
    const said = fc.oneof(
      fc.string(),
      fc.constantFrom('"message":{"a":1}', '\\"message":{"a"', '{"message":{"role"', '"refusal":', "\\", '"message'),
    );
    fc.assert(
      fc.property(said, said, said, (content, name, args) => {
        const message = { role: "assistant", content, tool_calls: [{ function: { name, arguments: args } }] };
        const answer = { id: name, choices: [{ index: 0, message }], [`x${content}`]: { y: name } };
        const expected = { ...answer, choices: [{ index: 0, message: { ...message, refusal: null } }] };
        expect(JSON.parse(chat(JSON.stringify(answer)))).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['{"error":{"message":"no"}}', "no JSON", '{"choices":[{"message":{}}]}', '{"choices":[{"message":null}]}'])(
    "%s stays as it is",
    (text) => {
      const body = Buffer.from(text);
      expect(completeChat(body)).toBe(body);
    },
  );
});

describe("a whole message", () => {
  const message = {
    type: "message",
    content: [
      { type: "text", text: "x" },
      { type: "tool_use", id: "t", name: "n", input: { type: "text" } },
      { type: "thinking", thinking: "hm", signature: "" },
    ],
    usage: { input_tokens: 3, output_tokens: 4, cache_read_input_tokens: 2 },
  };

  it("has every member of the schema, and what it said already", () => {
    const whole = JSON.parse(completeMessage(Buffer.from(JSON.stringify(message))).toString());
    expect(whole).toMatchObject(message);
    expect(whole.content[0]).toEqual({ type: "text", text: "x", citations: null });
    expect(whole.content[1]).toEqual({ ...message.content[1], caller: { type: "direct" } });
    expect(whole.content[2]).toEqual(message.content[2]);
    expect(whole.usage).toMatchObject({
      cache_read_input_tokens: 2,
      cache_creation_input_tokens: 0,
      service_tier: null,
    });
    expect([whole.stop_details, whole.container]).toEqual([null, null]);
    const again = Buffer.from(JSON.stringify(whole));
    expect(completeMessage(again)).toBe(again);
  });

  it.each(['{"type":"error","error":{}}', "no JSON", "[]", "null", '{"type":"message","content":7}'])(
    "%s stays as it is",
    (text) => {
      const body = Buffer.from(text);
      expect(completeMessage(body)).toBe(body);
    },
  );
});
