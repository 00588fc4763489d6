import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitRequest } from "../../../../proxy/prompt/fit.ts";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../proxy/splice/rewriting.ts";
import { objectText, valueText } from "../json-text.ts";

type Endpoint = "chat" | "messages";
type Message = { role: string; content: unknown };

const fitted = (endpoint: Endpoint, text: string) => {
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const { applied, droppedTools } = fitRequest(rewriting, endpoint);
  return { text: Buffer.concat(rewriting.chunks()).toString(), applied, dropped: droppedTools };
};
const body = (endpoint: Endpoint, request: unknown) => {
  const { text, ...rest } = fitted(endpoint, JSON.stringify(request));
  return { body: JSON.parse(text) as Record<string, unknown>, ...rest };
};
const system = (content: unknown, role = "system") => ({ role, content });
const user = { role: "user", content: "hello" };
const assistant = { role: "assistant", content: "hi" };
const call = (name: string) => ({ type: "function", function: { name } });
const custom = { type: "custom", custom: { name: "apply_patch" } };

describe("system messages of a chat", () => {
  it("become one, in order, at the front", () => {
    const messages = [user, system("one"), assistant, system([{ type: "text", text: "two" }], "developer"), user];
    expect(body("chat", { messages })).toMatchObject({
      body: { messages: [system("one\n\ntwo"), user, assistant, user] },
      applied: ["join-system-messages"],
    });
  });

  it("a developer's has the role that every template knows", () => {
    expect(body("chat", { messages: [system("one", "developer"), user] }).body).toEqual({
      messages: [system("one"), user],
    });
  });

  it("stay where they hold more than text", () => {
    const image = system([{ type: "image_url", image_url: { url: "x" } }]);
    expect(body("chat", { messages: [image, system("one"), user] }).body.messages).toEqual([
      system("one"),
      image,
      user,
    ]);
  });
});

describe("system messages among Anthropic messages", () => {
  it.each([
    [undefined, "one\n\ntwo"],
    ["own", "own\n\none\n\ntwo"],
    [[], [{ type: "text", text: "one\n\ntwo" }]],
    [
      [{ type: "text", text: "own", cache_control: { type: "ephemeral" } }],
      [
        { type: "text", text: "own", cache_control: { type: "ephemeral" } },
        { type: "text", text: "one\n\ntwo" },
      ],
    ],
  ])("go behind the request's own system text %j", (own, expected) => {
    const messages = [system("one"), user, system([{ type: "text", text: "two" }]), assistant];
    expect(body("messages", { system: own, messages }).body).toEqual({
      system: expected,
      messages: [user, assistant],
    });
  });

  it("stay where nothing else is said", () => {
    expect(body("messages", { messages: [system("one")] })).toMatchObject({ applied: [] });
  });
});

describe("tools of a chat", () => {
  it("other than functions are left out, and named", () => {
    const tools = [call("a"), custom, { type: "web_search" }];
    expect(body("chat", { messages: [user], tools, tool_choice: "required" })).toEqual({
      body: { messages: [user], tools: [call("a")], tool_choice: "required" },
      applied: ["drop-foreign-tools"],
      dropped: ["custom:apply_patch", "web_search"],
    });
  });

  it("take the list and the choice along when none remains", () => {
    const choice = { type: "allowed_tools", allowed_tools: { mode: "auto", tools: [custom] } };
    expect(body("chat", { messages: [user], tools: [custom], tool_choice: choice }).body).toEqual({ messages: [user] });
  });

  it.each([
    ["a forced function", call("b"), { tools: [call("b")], tool_choice: "required" }],
    [
      "allowed functions",
      { type: "allowed_tools", allowed_tools: { mode: "auto", tools: [call("a"), call("b")] } },
      { tools: [call("a"), call("b")], tool_choice: "auto" },
    ],
    [
      "allowed functions of which one is required",
      { type: "allowed_tools", allowed_tools: { mode: "required", tools: [call("c")] } },
      { tools: [call("c")], tool_choice: "required" },
    ],
    [
      "allowed tools of which none remains",
      { type: "allowed_tools", allowed_tools: { mode: "required", tools: [custom] } },
      { tools: [call("a"), call("b"), call("c")], tool_choice: "none" },
    ],
    ["a tool that was left out", custom, { tools: [call("a"), call("b"), call("c")] }],
    [
      "a function that is not there, which LM Studio may tell",
      call("x"),
      { tools: [call("a"), call("b"), call("c")], tool_choice: call("x") },
    ],
  ])("a choice of %s is said in words that LM Studio takes", (_, tool_choice, expected) => {
    const tools = [call("a"), custom, call("b"), call("c")];
    expect(body("chat", { tools, tool_choice }).body).toEqual(expected);
  });
});

describe("tools among Anthropic messages", () => {
  const weather = { name: "weather", input_schema: { type: "object" } };
  const search = { type: "web_search_20250305", name: "web_search", max_uses: 5 };

  it("that Anthropic runs never reach LM Studio, and are named", () => {
    const tools = [weather, search, { ...weather, type: "custom" }, { type: "bash_20250124", name: "bash" }];
    expect(body("messages", { tools, tool_choice: { type: "auto" } })).toEqual({
      body: { tools: [weather, { ...weather, type: "custom" }], tool_choice: { type: "auto" } },
      applied: ["drop-foreign-tools"],
      dropped: ["web_search_20250305:web_search", "bash_20250124:bash"],
    });
  });

  it("take the choice of one that was left out along, and keep that of another", () => {
    const forced = (name: string) => ({ type: "tool", name });
    const tools = [search, weather];
    expect(body("messages", { tools, tool_choice: forced("web_search") }).body).toEqual({ tools: [weather] });
    expect(body("messages", { tools, tool_choice: forced("weather") }).body).toEqual({
      tools: [weather],
      tool_choice: forced("weather"),
    });
    expect(body("messages", { tools: [search], tool_choice: { type: "any" } }).body).toEqual({});
  });
});

describe("whatever a request holds", () => {
  const role = fc.constantFrom("system", "developer", "user", "assistant", "tool");
  const text = fc.oneof(fc.string(), fc.constant(""));
  const content = fc.oneof(text, fc.array(text.map((each) => ({ type: "text", text: each }))));
  const message = fc.oneof(
    { weight: 5, arbitrary: fc.record({ role, content }).map((each) => JSON.stringify(each)) },
    valueText,
  );
  const name = fc.constantFrom("a", "b", "c");
  const tool = fc.oneof(
    name.map(call),
    name.map((each) => ({ type: "custom", custom: { name: each } })),
    name.map((each) => ({ name: each, input_schema: {} })),
    fc.constantFrom({ type: "web_search_20250305", name: "web_search" }, { type: "mcp" }, {}, 7),
  );
  const choice = fc.oneof(
    fc.constantFrom("auto", "required", { type: "any" }, { type: "tool", name: "web_search" }),
    name.map(call),
    fc
      .tuple(fc.constantFrom("auto", "required"), fc.array(tool, { maxLength: 2 }))
      .map(([mode, tools]) => ({ type: "allowed_tools", allowed_tools: { mode, tools } })),
  );
  const list = (each: fc.Arbitrary<string>) => fc.array(each, { maxLength: 5 }).map((all) => `[ ${all.join(" , ")} ]`);
  const asText = (value: fc.Arbitrary<unknown>) => value.map((each) => JSON.stringify(each));
  const request = objectText({
    messages: list(message),
    system: fc.oneof(asText(content), fc.constant("[ ]")),
    tools: list(asText(tool)),
    tool_choice: asText(choice),
  });
  const endpoint = fc.constantFrom("chat" as const, "messages" as const);

  it("twice is once", () => {
    fc.assert(
      fc.property(endpoint, request, (where, before) => {
        const once = fitted(where, before);
        expect(fitted(where, once.text)).toEqual({ text: once.text, applied: [], dropped: [] });
      }),
      { numRuns: 1_000 },
    );
  });

  it("what was said stays, in order, and no system text is lost", () => {
    const said = (messages: readonly Message[], isSystem: boolean) =>
      messages.filter((each) => (each.role === "system" || each.role === "developer") === isSystem);
    const words = (value: unknown): string[] =>
      typeof value === "string" ? [value] : ((value ?? []) as { text: string }[]).map((part) => part.text);
    const messages = fc.array(fc.record({ role, content }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(endpoint, messages, fc.option(content, { nil: undefined }), (where, before, own) => {
        const after = body(where, { messages: before, system: own }).body;
        const left = after.messages as Message[];
        expect(said(left, false)).toEqual(said(before, false));
        const texts = said(before, true).flatMap((each) => words(each.content));
        const found = [
          ...words(where === "messages" ? after.system : undefined),
          ...said(left, true).flatMap((each) => words(each.content)),
        ].join("\n\n");
        let at = 0;
        for (const each of texts) {
          const place = found.indexOf(each, at);
          expect(place).toBeGreaterThanOrEqual(at);
          at = place + each.length;
        }
        if (where === "chat") expect(said(left, true).length).toBeLessThanOrEqual(1);
        else if (said(left, false).length > 0) expect(said(left, true)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it("bytes of what stays are kept, and a request with nothing to do is left alone", () => {
    const item = '{ "role":"user", "content":"1.0 \\u00e9", "n":1.50e3 }';
    const tool = '{"type":"function", "function":{"name":"f","parameters":{"maximum":100000000000000000001}}}';
    const text = `{"messages":[${item},{"role":"system","content":"s"}],"tools":[${tool},{"type":"x"}],"seed":1.0}`;
    const { text: after } = fitted("chat", text);
    expect(after).toBe(`{"messages":[{"role":"system","content":"s"},${item}],"tools":[${tool}],"seed":1.0}`);
    for (const where of ["chat", "messages"] as const) {
      const plain = `{"messages":[ ${item} ],"tools":[{"name":"a"}],"tool_choice":{"type":"auto"} }`;
      const same = where === "chat" ? plain.replace('{"type":"auto"}', '"auto"') : plain;
      expect(fitted(where, same)).toEqual({ text: same, applied: [], dropped: [] });
    }
  });
});
