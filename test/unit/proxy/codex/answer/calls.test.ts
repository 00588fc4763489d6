import { describe, expect, it } from "vitest";
import { type Json, printed, read } from "../../answer/dialects.ts";
import {
  call,
  doneItems,
  finalOutput,
  lmStudio,
  ofType,
  patch,
  type Said,
  translated,
  translatorFor,
} from "./streams.ts";

describe("calls", () => {
  it("of a namespaced tool come back with namespace and name, in every event that names them", () => {
    const { events } = translated(lmStudio([call("multi_agent_v1__close_agent", '{"id":1}')]));
    const own = { type: "function_call", namespace: "multi_agent_v1", name: "close_agent" };
    expect(ofType(events, "response.output_item.added")[0]?.item).toMatchObject(own);
    expect(ofType(events, "response.function_call_arguments.done")[0]).toMatchObject({ name: "close_agent" });
    expect(doneItems(events)).toMatchObject([{ ...own, arguments: '{"id":1}', call_id: "call_0", id: "fc_0" }]);
    expect(finalOutput(events)).toEqual(doneItems(events));
    expect(JSON.stringify(events)).not.toContain("multi_agent_v1__");
  });

  it("of a custom tool come back as custom_tool_call with its text and its own events", () => {
    const args = JSON.stringify({ input: patch });
    for (const pieces of [[], [args.slice(0, 9), args.slice(9)]]) {
      const said: Said = { kind: "call", name: "apply_patch", arguments: args, pieces };
      const { events } = translated(lmStudio([said]));
      expect(events.map(({ type }) => type)).toEqual([
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.completed",
      ]);
      const item = { type: "custom_tool_call", id: "ctc_0", call_id: "call_0", name: "apply_patch" };
      expect(events[2]?.item).toEqual({ ...item, input: "", status: "in_progress" });
      expect(events[3]).toMatchObject({ item_id: "ctc_0", output_index: 0, delta: patch });
      expect(events[4]).toMatchObject({ item_id: "ctc_0", output_index: 0, input: patch });
      expect(doneItems(events)).toEqual([{ ...item, input: patch, status: "completed" }]);
      expect(finalOutput(events)).toEqual(doneItems(events));
      expect(events.map(({ sequence_number }) => sequence_number)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    }
  });

  it("of tool_search come back as tool_search_call, with arguments as an object", () => {
    const { events } = translated(lmStudio([call("tool_search", '{"query":"mail","limit":2}')]));
    const item = {
      type: "tool_search_call",
      execution: "client",
      call_id: "call_0",
      arguments: { query: "mail", limit: 2 },
    };
    expect(doneItems(events)).toMatchObject([item]);
    expect(finalOutput(events)).toEqual(doneItems(events));
    expect(JSON.stringify(events)).not.toContain("function_call");
  });

  it("of tools that the client does not have pass as they are: Codex tells the model", () => {
    const bytes = printed(lmStudio([call("shell", '{"a":1}')]));
    expect(translatorFor().push(bytes)).toEqual(bytes);
  });

  it("that are in the client's own form already pass as they are", () => {
    const bytes = printed(lmStudio([call("close_agent", '{"id":1}')]));
    const own = Buffer.from(
      bytes.toString().replaceAll('"name":"close_agent"', '"namespace":"other","name":"close_agent"'),
    );
    const items = ofType(read(translatorFor().push(own)) as Json[], "response.output_item.done");
    expect(items[0]?.item).toMatchObject({ namespace: "other", name: "close_agent" });
  });

  it("that were made in a wrong form are put right and counted once", () => {
    const { events, translator } = translated(
      lmStudio([
        call("close_agent", { id: 1 }),
        call("apply_patch", `\`\`\`\n${patch}\n\`\`\``),
        call("exec_command", ""),
      ]),
    );
    expect(doneItems(events)).toMatchObject([
      { namespace: "multi_agent_v1", name: "close_agent", arguments: '{"id":1}' },
      { type: "custom_tool_call", input: patch },
      { name: "exec_command", arguments: "{}" },
    ]);
    expect(finalOutput(events)).toEqual(doneItems(events));
    expect(Object.fromEntries(translator.repairs)).toEqual({
      name: 1,
      "arguments-object": 1,
      "code-fence": 1,
      "arguments-empty": 1,
    });
  });

  it("without a call_id get one, the same in every event and another in every answer", () => {
    const events = lmStudio([call("exec_command")]).map((event) =>
      JSON.parse(JSON.stringify(event).replaceAll('"call_id":"call_0",', "")),
    );
    const idsOf = (events: Json[]) => JSON.stringify(events).match(/"call_id":"call_\w{32}"/g) ?? [];
    const ids = idsOf(translated(events).events);
    expect(ids.length).toBe(3);
    expect(new Set(ids).size).toBe(1);
  });

  it("whose name comes late are shown when it is known", () => {
    const events = lmStudio([call("apply_patch", JSON.stringify({ input: patch }))]);
    const added = events.find(({ type }) => type === "response.output_item.added") as { item: Json };
    added.item = { ...added.item, name: "" };
    const said = translated(events).events;
    expect(ofType(said, "response.output_item.added")[0]?.item).toMatchObject({
      type: "custom_tool_call",
      name: "apply_patch",
    });
    expect(ofType(said, "response.custom_tool_call_input.done")).toHaveLength(1);
  });
});
