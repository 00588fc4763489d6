import { describe, expect, it } from "vitest";
import { customArgument } from "../../../../../proxy/codex/calls.ts";
import { RequestMemo, type RequestOptions } from "../../../../../proxy/codex/request/translate.ts";
import { func, namespace, translate, user } from "./translating.ts";

describe("a conversation's items in the forms that LM Studio takes", () => {
  const history = (items: unknown[], options: RequestOptions = {}) =>
    translate({ input: [user, ...items] }, options).body.input.slice(1);

  it("a custom call and its output become a function call and its output", () => {
    const items = history([
      {
        type: "custom_tool_call",
        id: "ctc_1",
        status: "completed",
        call_id: "c",
        name: "apply_patch",
        input: "*** Begin\n",
      },
      { type: "custom_tool_call_output", id: "ctco_1", call_id: "c", output: "Done" },
    ]);
    expect(items).toEqual([
      {
        type: "function_call",
        call_id: "c",
        name: "apply_patch",
        arguments: JSON.stringify({ [customArgument]: "*** Begin\n" }),
      },
      { type: "function_call_output", call_id: "c", output: "Done" },
    ]);
  });

  it("a call in a namespace goes by its flat name, whether its tool is still offered or not", () => {
    const call = { type: "function_call", name: "log", namespace: "mcp__git", arguments: "{}", call_id: "c" };
    expect(history([call])).toEqual([{ type: "function_call", call_id: "c", name: "mcp__git__log", arguments: "{}" }]);
    const clash = [func("mcp__git__log"), namespace("mcp__git", func("log"))];
    const { body } = translate({ tools: clash, input: [call] });
    expect(body.input[0].name).toBe(body.tools[1].name);
    expect(body.input[0].name).not.toBe("mcp__git__log");
  });

  it("a function whose name LM Studio would refuse is called by its other name in the history too", () => {
    const name = "x".repeat(70);
    const item = { type: "function_call", name, arguments: "{}", call_id: "c" };
    const { body, calls } = translate({ tools: [func(name)], input: [user, item] });
    expect(body.tools[0].name).toHaveLength(64);
    expect(body.input[1].name).toBe(body.tools[0].name);
    expect(calls.origins.get(body.tools[0].name)).toEqual({ kind: "function", name });
  });

  it("what was kept of an earlier turn is not used where tools, the model's eyes or a search's results are others", () => {
    const memo = new RequestMemo();
    const image = { type: "input_image", image_url: "data:image/png;base64,AA" };
    const input = [
      { type: "function_call", name: "log", namespace: "git", arguments: "{}", call_id: "c" },
      { type: "function_call_output", call_id: "c", output: [image] },
      { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } },
    ];
    const turn = (tools: unknown[], options: RequestOptions) => {
      const { body } = translate({ tools, input }, options, memo);
      return JSON.stringify([body.tools, body.input]);
    };
    const search = { type: "web_search" };
    const clash = [func("git__log"), namespace("git", func("log"))];
    expect(turn([], { images: false })).toMatch(/"git__log".*text only/);
    expect(turn([], { images: true })).toContain("base64");
    expect(turn(clash, { images: true })).toMatch(/"git__log_[0-9a-f]{8}","arguments"/);
    expect(turn([search], {})).not.toContain("Search the web");
    expect(turn([search], { search: { recall: () => "found it" } })).toMatch(/Search the web.*found it/);
    expect(turn([search], { search: { recall: () => undefined } })).toContain("no longer at hand");
  });

  it("an output that is a list becomes text; its images follow behind the last output, in a message", () => {
    const image = { type: "input_image", image_url: "data:image/png;base64,AA", detail: "high" };
    const items = history([
      { type: "function_call_output", call_id: "a", output: [{ type: "input_text", text: "one" }, image] },
      { type: "function_call_output", call_id: "b", output: "two" },
      { type: "tool_search_output", call_id: "c", tools: [] },
      user,
    ]);
    expect(items.map(({ type, role }: { type: string; role?: string }) => role ?? type)).toEqual([
      "function_call_output",
      "function_call_output",
      "function_call_output",
      "user",
      "user",
    ]);
    expect(items[0].output).toBe("one\n[image: see below]");
    expect(items[1].output).toBe("two");
    expect(items[3].content).toContainEqual(image);
  });

  it("a model that takes text only is told of images in words, in messages and outputs", () => {
    const image = { type: "input_image", image_url: "data:image/png;base64,AA" };
    const items = history(
      [
        { role: "user", content: [{ type: "input_text", text: "look" }, image] },
        { type: "function_call_output", call_id: "a", output: [image] },
      ],
      { images: false },
    );
    expect(JSON.stringify(items)).not.toContain("base64");
    expect(items[0].content[1]).toEqual({ type: "input_text", text: expect.stringContaining("text only") });
    expect(items[1].output).toContain("text only");
    expect(history([{ role: "user", content: [image] }], { images: true })[0].content).toEqual([image]);
  });

  it("a web search of an earlier turn comes with what it found, or says that this is gone", () => {
    const item = {
      type: "web_search_call",
      id: "ws_1",
      status: "completed",
      action: { type: "search", query: "cats" },
    };
    const recall = (id: string) => (id === "ws_1" ? "Cats are nice." : undefined);
    const [call, output] = history([item], { search: { recall } });
    expect(call).toMatchObject({ type: "function_call", name: "web_search", arguments: '{"query":"cats"}' });
    expect(output).toEqual({ type: "function_call_output", call_id: call.call_id, output: "Cats are nice." });
    expect(history([item])[1].output).toContain("no longer at hand");
  });

  it("reasoning is left out, and the header says so", () => {
    const { body, applied } = translate({
      input: [{ type: "reasoning", id: "rs_1", summary: [], encrypted_content: null }, user],
    });
    expect(body.input).toEqual([user]);
    expect(applied).toEqual(["drop-reasoning"]);
  });

  it("an item of an unknown type is told as text, without what nobody can read", () => {
    const items = history([
      { type: "weather_call", id: "w_1", city: "Oslo", result: "A".repeat(5_000) },
      { type: "custom_tool_call", name: 7 },
    ]);
    expect(items).toHaveLength(2);
    for (const item of items) expect(item).toMatchObject({ type: "message", role: "user" });
    expect(items[0].content[0].text).toMatch(/weather_call[\s\S]*Oslo/);
    expect(items[0].content[0].text.length).toBeLessThan(500);
  });

  it("a shell call of an older Codex stays beside its output", () => {
    const action = { type: "exec", command: ["ls"] };
    const [call] = history([{ type: "local_shell_call", call_id: "c", status: "completed", action }]);
    expect(call).toEqual({
      type: "function_call",
      call_id: "c",
      name: "local_shell",
      arguments: JSON.stringify(action),
    });
  });

  it("another agent's message is told as the words of its author", () => {
    const content = [{ type: "input_text", text: "done" }];
    const [item] = history([{ type: "agent_message", author: "/root/a", recipient: "/root", content }]);
    expect(item.content[0].text).toBe("Message from /root/a to /root:\ndone");
  });
});
