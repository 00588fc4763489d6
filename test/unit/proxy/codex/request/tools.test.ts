import { describe, expect, it } from "vitest";
import { customArgument } from "../../../../../proxy/codex/calls.ts";
import { asked, developer, func, names, namespace, patch, search, translate, user } from "./translating.ts";

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
