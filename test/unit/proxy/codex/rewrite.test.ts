import { describe, expect, it } from "vitest";
import { rewriteForLmStudio } from "../../../../proxy/codex/rewrite.ts";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../proxy/splice/rewriting.ts";

const rewrite = (text: string) => {
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const { notes, applied } = rewriteForLmStudio(rewriting);
  return { text: Buffer.concat(rewriting.chunks()).toString(), dropped: notes.droppedTools, applied };
};
const developer = (text: string) => ({ type: "message", role: "developer", content: [{ type: "input_text", text }] });
const user = { type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] };

describe("what LM Studio refuses of a Codex request", () => {
  it("joins system and developer messages, in order, behind the instructions", () => {
    const { text } = rewrite(
      JSON.stringify({
        instructions: "one",
        input: [developer("two"), user, { role: "system", content: "three" }, developer("four")],
      }),
    );
    expect(JSON.parse(text)).toEqual({ instructions: "one\n\ntwo\n\nthree\n\nfour", input: [user] });
  });

  it("leaves out tools of other types, and says which", () => {
    const exec = { type: "function", name: "exec_command", parameters: { type: "object" } };
    const mcp = { type: "mcp", server_label: "docs" };
    const tools = [exec, { type: "namespace", name: "multi_agent_v1", tools: [] }, { type: "web_search" }, mcp];
    const { text, dropped } = rewrite(JSON.stringify({ input: "x", tools, tool_choice: "auto" }));
    expect(JSON.parse(text)).toEqual({ input: "x", tools: [exec, mcp], tool_choice: "auto" });
    expect(dropped).toEqual(["namespace:multi_agent_v1", "web_search"]);
  });

  it("leaves out the whole list, and the choice, when no tool remains", () => {
    const { text } = rewrite('{"input":"x","tools":[{"type":"web_search"}],"tool_choice":"required"}');
    expect(JSON.parse(text)).toEqual({ input: "x" });
  });

  it("drops a choice of a tool that was left out", () => {
    const { text } = rewrite(
      '{"tools":[{"type":"function","name":"a"},{"type":"custom","name":"b"}],"tool_choice":{"type":"custom","name":"b"}}',
    );
    expect(JSON.parse(text)).toEqual({ tools: [{ type: "function", name: "a" }] });
  });

  it("drops a text without format, and keeps one with it", () => {
    expect(rewrite('{"input":"x","text":{}}').text).toBe('{"input":"x"}');
    expect(rewrite('{"input":"x","text":{"verbosity":"low"}}').text).toBe('{"input":"x"}');
    const kept = '{"input":"x","text":{"format":{"type":"text"}}}';
    expect(rewrite(kept).text).toBe(kept);
  });
});

describe("what it leaves alone", () => {
  it("keeps the bytes of every item and tool that stays", () => {
    const item = '{ "role":"user", "content":"1.0 \\u00e9", "n":1.50e3 }';
    const tool = '{"type":"function","name":"f","parameters":{"type":"object","maximum":100000000000000000001}}';
    const { text } = rewrite(
      `{"input":[{"role":"system","content":"s"},${item}],"tools":[${tool},{"type":"web_search"}],"seed":1.0}`,
    );
    expect(text).toContain(item);
    expect(text).toContain(tool);
    expect(text).toContain('"seed":1.0');
  });

  it.each([
    '{"model":"m","input":"hello","instructions":"be brief"}',
    '{"input":[{"role":"user","content":"x"}],"tools":[{"type":"function","name":"f"}]}',
    '{"input":[{"role":"system","content":"only this"}]}',
    '{"input":[{"role":"developer","content":[{"type":"input_image","image_url":"x"}]},{"role":"user","content":"y"}]}',
    '{"input":7,"tools":"none","text":null}',
  ])("has no edit for %s", (text) => {
    const result = rewrite(text);
    expect(result.text).toBe(text);
    expect(result.applied).toEqual([]);
  });

  it("finds nothing left to do in its own result", () => {
    const { text } = rewrite(
      JSON.stringify({
        input: [developer("a"), user, developer("b")],
        tools: [{ type: "function" }, { type: "custom" }],
        text: {},
      }),
    );
    expect(rewrite(text)).toEqual({ text, dropped: [], applied: [] });
  });
});
