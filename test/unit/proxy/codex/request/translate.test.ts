import { describe, expect, it } from "vitest";
import { developer, translate, user } from "./translating.ts";

describe("fields that LM Studio has no use for", () => {
  it("are removed, and named", () => {
    const { body, applied } = translate({
      input: "x",
      include: ["reasoning.encrypted_content"],
      prompt_cache_key: "k",
      client_metadata: { a: "b" },
      service_tier: "flex",
      store: false,
    });
    expect(body).toEqual({ input: "x", store: false });
    expect(applied).toEqual(["drop-include", "drop-client-metadata", "drop-prompt-cache-key", "drop-service-tier"]);
  });

  it("drops a text without format, and keeps one with it", () => {
    expect(translate('{"input":"x","text":{}}').text).toBe('{"input":"x"}');
    expect(translate('{"input":"x","text":{"verbosity":"low"}}').text).toBe('{"input":"x"}');
    const kept = '{"input":"x","text":{"format":{"type":"text"}}}';
    expect(translate(kept).text).toBe(kept);
  });
});

it("joins system and developer messages, in order, behind the instructions", () => {
  const { body } = translate({
    instructions: "one",
    input: [developer("two"), user, { role: "system", content: "three" }, developer("four")],
  });
  expect(body).toEqual({ instructions: "one\n\ntwo\n\nthree\n\nfour", input: [user] });
});

describe("what it leaves alone", () => {
  it("keeps the bytes of every item and tool that stays", () => {
    const item = '{ "role":"user", "content":"1.0 \\u00e9", "n":1.50e3 }';
    const call = '{ "type":"function_call","name":"f","arguments":"{}","call_id":"c","id":"fc_1" }';
    const tool =
      '{"type":"function","name":"f","parameters":{"type":"object","properties":{},"maximum":100000000000000000001}}';
    const { text } = translate(
      `{"input":[{"role":"system","content":"s"},${item}, ${call}],"tools":[${tool}, {"type":"web_search"}],"seed":1.0}`,
    );
    for (const kept of [item, call, tool, '"seed":1.0']) expect(text).toContain(kept);
  });

  it.each([
    '{"model":"m","input":"hello","instructions":"be brief"}',
    '{"input":[{"role":"user","content":"x"}],"tools":[{"type":"function","name":"f"}]}',
    '{"input":[{"role":"system","content":"only this"}]}',
    '{"input":[{"role":"developer","content":[{"type":"input_image","image_url":"x"}]},{"role":"user","content":"y"}]}',
    '{"input":7,"tools":"none","text":null}',
    '{"input":[],"tools":[],"tool_choice":"auto"}',
    '{"input":"x","tools":[{"type":"function"}],"tool_choice":{"type":"function","name":"gone"}}',
  ])("has no edit for %s", (text) => {
    const result = translate(text);
    expect(result.text).toBe(text);
    expect(result.applied).toEqual([]);
  });

  it("a request whose part is not JSON inside is an error, not a guess", () => {
    expect(() => translate('{"input":[{"type":"custom_tool_call","a":[oops]}]}')).toThrow(SyntaxError);
  });
});
