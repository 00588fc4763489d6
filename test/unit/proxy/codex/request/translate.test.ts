import { describe, expect, it } from "vitest";
import { customArgument } from "../../../../../proxy/codex/calls.ts";
import { RequestMemo, type RequestOptions, translateRequest } from "../../../../../proxy/codex/request/translate.ts";
import { JsonBody } from "../../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../../proxy/splice/rewriting.ts";

const translate = (request: unknown, options: RequestOptions = {}, memo = new RequestMemo()) => {
  const text = typeof request === "string" ? request : JSON.stringify(request);
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const { applied, droppedTools, calls } = translateRequest(rewriting, options, memo);
  const result = Buffer.concat(rewriting.chunks()).toString();
  return { text: result, body: JSON.parse(result), applied, droppedTools, calls };
};
const message = (role: string, text: string) => ({ type: "message", role, content: [{ type: "input_text", text }] });
const developer = (text: string) => message("developer", text);
const user = message("user", "hello");
const func = (name: string, extra: object = {}) => ({
  type: "function",
  name,
  description: `Does ${name}`,
  strict: false,
  parameters: { type: "object", properties: { cmd: { type: "string" } }, required: ["cmd"] },
  ...extra,
});
const namespace = (name: string, ...tools: unknown[]) => ({ type: "namespace", name, description: "A group.", tools });
const patch = {
  type: "custom",
  name: "apply_patch",
  description: "Edits files.",
  format: { type: "grammar", syntax: "lark", definition: "start: begin hunk+ end" },
};
const search = { type: "web_search", external_web_access: true };
const names = (body: { tools?: { name: string }[] }) => (body.tools ?? []).map(({ name }) => name);
const asked = (tools: unknown[], extra: object = {}) => ({ input: [user], tools, ...extra });

describe("tools that LM Studio does not know reach it as functions", () => {
  it("a namespace's functions are told by their flat names, in place, and the way back is kept", () => {
    const { body, calls, applied } = translate(
      asked([func("a"), namespace("mcp__git", func("log"), func("diff")), func("z")]),
    );
    expect(names(body)).toEqual(["a", "mcp__git__log", "mcp__git__diff", "z"]);
    expect(body.tools[1]).toEqual({ ...func("log"), name: "mcp__git__log", description: "A group.\n\nDoes log" });
    expect(calls.origins.get("mcp__git__diff")).toEqual({ kind: "function", name: "diff", namespace: "mcp__git" });
    expect(calls.plain).toBe(false);
    expect(applied).toEqual(["namespace-tools"]);
  });

  it("a custom tool becomes a function with one string, and its grammar is told", () => {
    const { body, calls } = translate(asked([patch]));
    const [tool] = body.tools;
    expect(tool.type).toBe("function");
    expect(tool.parameters.required).toEqual([customArgument]);
    expect(tool.description).toContain("Edits files.");
    expect(tool.description).toContain("start: begin hunk+ end");
    expect(calls.origins.get("apply_patch")).toEqual({ kind: "custom", name: "apply_patch" });
  });

  it("tools that came as an item of the input are tools, those of the implicit namespace by their own names", () => {
    const item = {
      type: "additional_tools",
      id: "at_1",
      role: "developer",
      tools: [namespace("functions", patch, func("wait")), namespace("clock", func("sleep"))],
    };
    const { body, calls } = translate({ input: [item, developer("be brief"), user] });
    expect(names(body)).toEqual(["apply_patch", "wait", "clock__sleep"]);
    expect(body.input).toEqual([user]);
    expect(body.instructions).toBe("be brief");
    expect(calls.origins.get("wait")).toEqual({ kind: "function", name: "wait" });
  });

  it("tool_search is a function with its own parameters, and the tools that it found are added behind the others", () => {
    const parameters = { type: "object", properties: { query: { type: "string" } }, required: ["query"] };
    const found = namespace("mcp__pics", func("draw", { defer_loading: true }));
    const { body, calls } = translate({
      tools: [func("a"), { type: "tool_search", execution: "client", description: "Finds tools.", parameters }],
      input: [
        user,
        { type: "tool_search_call", call_id: "c1", execution: "client", arguments: { query: "draw" } },
        {
          type: "tool_search_output",
          id: "tso_1",
          call_id: "c1",
          status: "completed",
          execution: "client",
          tools: [found],
        },
      ],
    });
    expect(names(body)).toEqual(["a", "tool_search", "mcp__pics__draw"]);
    expect(body.tools[1].parameters).toEqual(parameters);
    expect(body.tools[2]).not.toHaveProperty("defer_loading");
    expect(calls.origins.get("tool_search")).toEqual({ kind: "tool-search" });
    expect(body.input[1]).toEqual({
      type: "function_call",
      call_id: "c1",
      name: "tool_search",
      arguments: '{"query":"draw"}',
    });
    expect(body.input[2]).toMatchObject({ type: "function_call_output", call_id: "c1" });
    expect(body.input[2].output).toContain("mcp__pics__draw: Does draw");
  });

  it("a tool that is told again counts once, as it was told last", () => {
    const changed = { ...func("a"), description: "newer" };
    const { body } = translate({
      tools: [func("a"), func("b")],
      input: [user, { type: "additional_tools", tools: [changed, func("b")] }],
    });
    expect(names(body)).toEqual(["a", "b"]);
    expect(body.tools[0].description).toBe("newer");
  });

  it("web search is offered where the proxy searches, and left out and named where it does not", () => {
    const offered = translate(asked([func("a"), search]), { search: { recall: () => undefined } });
    expect(names(offered.body)).toEqual(["a", "web_search"]);
    expect(offered.calls.origins.get("web_search")).toMatchObject({ kind: "web-search" });
    expect(offered.droppedTools).toEqual([]);
    const without = translate(asked([func("a"), search]));
    expect(names(without.body)).toEqual(["a"]);
    expect(without.droppedTools).toEqual(["web_search"]);
    const cached = translate(asked([{ ...search, external_web_access: false }]), {
      search: { recall: () => undefined },
    });
    expect(cached.droppedTools).toEqual(["web_search"]);
  });

  it("tools of unknown types never reach LM Studio and are named, inside a namespace too", () => {
    const tools = [
      func("a"),
      { type: "image_generation" },
      namespace("n", { type: "shell", name: "sh" }),
      { type: "mcp", server_label: "docs" },
    ];
    const { body, droppedTools } = translate(asked(tools));
    expect(body.tools).toEqual([func("a"), { type: "mcp", server_label: "docs" }]);
    expect(droppedTools).toEqual(["image_generation", "shell:n:sh"]);
  });

  it("leaves out the whole list, and the choice, when no tool remains", () => {
    const { body } = translate({ input: "x", tools: [search], tool_choice: "required" });
    expect(body).toEqual({ input: "x" });
  });

  it("parameters are the schema of an object", () => {
    const tools = [
      func("a", { parameters: {} }),
      func("b", { parameters: { type: "object" } }),
      func("c", { parameters: { properties: { x: {} } } }),
    ];
    const { body } = translate(asked([...tools, namespace("n", { type: "function", name: "d" })]));
    for (const { parameters } of body.tools) expect(parameters).toMatchObject({ type: "object", properties: {} });
    expect(body.tools[2].parameters.properties).toEqual({ x: {} });
  });

  it("of several tools that want one name the plain function keeps it, in any order", () => {
    const tools = [namespace("a", func("b")), func("a__b"), { ...patch, name: "a__b" }, namespace("a_", func("_b"))];
    const forward = translate(asked(tools)).calls.origins;
    const backward = translate(asked(tools.toReversed())).calls.origins;
    expect(forward.get("a__b")).toEqual({ kind: "function", name: "a__b" });
    expect(new Map([...forward].toSorted())).toEqual(new Map([...backward].toSorted()));
    expect(forward.size).toBe(4);
  });
});

describe("a choice of tools that LM Studio refuses as an object", () => {
  const tools = [func("a"), namespace("n", func("b")), patch];
  const chosen = (tool_choice: unknown) => {
    const { body } = translate(asked(tools, { tool_choice }));
    return [names(body), body.tool_choice];
  };

  it("forces one tool by telling of no other", () => {
    expect(chosen({ type: "function", name: "a" })).toEqual([["a"], "required"]);
    expect(chosen({ type: "function", name: "b", namespace: "n" })).toEqual([["n__b"], "required"]);
    expect(chosen({ type: "custom", name: "apply_patch" })).toEqual([["apply_patch"], "required"]);
  });

  it("tells only of those that are allowed", () => {
    const allowed = (mode: string) => ({
      type: "allowed_tools",
      mode,
      tools: [
        { type: "function", name: "a" },
        { type: "custom", name: "apply_patch" },
      ],
    });
    expect(chosen(allowed("auto"))).toEqual([["a", "apply_patch"], "auto"]);
    expect(chosen(allowed("required"))).toEqual([["a", "apply_patch"], "required"]);
  });

  it("drops a choice of a tool that was left out, and keeps words", () => {
    expect(chosen({ type: "image_generation" })).toEqual([["a", "n__b", "apply_patch"], undefined]);
    expect(chosen("none")).toEqual([["a", "n__b", "apply_patch"], "none"]);
  });
});

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
