import { describe, expect, it } from "vitest";
import { type Json, printed } from "../../answer/dialects.ts";
import {
  call,
  doneItems,
  finalOutput,
  itemOf,
  lmStudio,
  ofType,
  patch,
  type Said,
  text,
  translated,
  translatorFor,
  usage,
} from "./streams.ts";

describe("what LM Studio leaves out", () => {
  const without = (events: Json[], ...types: string[]) => events.filter(({ type }) => !types.includes(type as string));

  it("the id of the response is made up for, the same one everywhere", () => {
    const events = lmStudio([text]).map((event) => {
      const { id: _, ...response } = (event.response ?? {}) as Json;
      return event.response === undefined ? event : { ...event, response };
    });
    const ids = translated(events).events.flatMap(({ response }) => (response as Json | undefined)?.id ?? []);
    expect(ids).toEqual(["resp_own", "resp_own", "resp_own"]);
  });

  it("the end of an item is taken from the answer's end", () => {
    const { events } = translated(without(lmStudio([text, call("mcp__files__read")]), "response.output_item.done"));
    expect(doneItems(events)).toMatchObject([
      itemOf(text, 0),
      { namespace: "mcp__files", name: "read", call_id: "call_1" },
    ]);
    expect(events.at(-1)?.type).toBe("response.completed");
  });

  it("the end of an item is put together from its pieces when the answer's end does not have it either", () => {
    const args = JSON.stringify({ input: patch });
    const said: Said[] = [
      { kind: "reasoning", pieces: ["Hm", "m."] },
      text,
      { kind: "call", name: "apply_patch", arguments: args, pieces: [args] },
      { kind: "call", name: "exec_command", arguments: '{"cmd":"ls"}', pieces: ['{"cmd"', ':"ls"}'] },
    ];
    const ends = ["response.output_item.done", "response.output_text.done", "response.function_call_arguments.done"];
    const { events } = translated(without(lmStudio(said, { output: [] }), ...ends));
    expect(doneItems(events)).toMatchObject([
      { type: "reasoning", id: "rs_0", content: [{ type: "reasoning_text", text: "Hmm." }] },
      { type: "message", id: "msg_1", content: [{ type: "output_text", text: "Hello." }] },
      { type: "custom_tool_call", input: patch },
      { type: "function_call", name: "exec_command", arguments: '{"cmd":"ls"}' },
    ]);
    expect(finalOutput(events)).toEqual(doneItems(events));
  });

  it("an answer that comes only at its end is told from the beginning", () => {
    const said = [text, call("apply_patch", JSON.stringify({ input: patch }))];
    const { events } = translated([lmStudio(said).at(-1) as Json]);
    expect(events.map(({ type }) => type)).toEqual([
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.output_item.added",
      "response.custom_tool_call_input.delta",
      "response.custom_tool_call_input.done",
      "response.output_item.done",
      "response.completed",
    ]);
  });

  it("arguments that came in pieces only are put together", () => {
    const pieces = ['{"input":"*** Begin', ' Patch\\n*** End Patch"}'];
    const events = lmStudio([{ kind: "call", name: "apply_patch", arguments: "", pieces }]);
    const { events: told } = translated(without(events, "response.function_call_arguments.done"));
    expect(doneItems(told)).toMatchObject([{ type: "custom_tool_call", input: patch }]);
  });

  it("what LM Studio puts before an item at the answer's end is not taken for that item", () => {
    const thought = itemOf({ kind: "reasoning", pieces: ["Hm."] }, 9);
    for (const [name, own] of [
      ["exec_command", "function_call"],
      ["apply_patch", "custom_tool_call"],
    ] as const) {
      const args = JSON.stringify({ input: patch });
      const begun: Said = { kind: "call", name, arguments: args };
      const whole = lmStudio([begun], { output: [thought, itemOf(begun, 0)] });
      expect(doneItems(translated(whole).events).filter(({ type }) => type === own)).toHaveLength(1);
      const unfinished = without(whole, "response.output_item.done", "response.function_call_arguments.done");
      const [done] = doneItems(translated(unfinished).events);
      expect(done).toMatchObject(
        own === "function_call" ? { type: own, arguments: args } : { type: own, input: patch },
      );
      const misplaced = lmStudio([begun], { output: [thought] });
      const pieced = translated(without(misplaced, "response.output_item.done")).events;
      expect(doneItems(pieced)).toMatchObject([{ type: own, call_id: "call_0" }]);
    }
  });

  it("no item is told twice although its place is another one at the answer's end", () => {
    const moved = lmStudio([call("exec_command")], {
      output: [{ ...itemOf(call("exec_command"), 0), id: "fc_other" }],
    });
    const events = moved.map((event) => ("output_index" in event ? { ...event, output_index: 1 } : event));
    expect(doneItems(translated(events).events)).toHaveLength(1);
  });

  it("an answer that says twice that it is complete says it once", () => {
    const events = lmStudio([text]);
    expect(ofType(translated([...events, events.at(-1) as Json]).events, "response.completed")).toHaveLength(1);
  });

  it("no item is told twice although its id is another one at the answer's end", () => {
    const renamed = [{ ...itemOf(call("exec_command"), 0), id: "fc_other", call_id: "call_other" }];
    const { events } = translated(lmStudio([call("exec_command")], { output: renamed }));
    expect(doneItems(events)).toHaveLength(1);
  });

  it("token counts that Codex could not read are made good, or left out", () => {
    const usageOf = (given: unknown) => {
      const response = translated(lmStudio([text], { usage: given })).events.at(-1)?.response as Json;
      return response.usage;
    };
    expect(usageOf({ input_tokens: 1, output_tokens: 2, input_tokens_details: {} })).toEqual({
      input_tokens: 1,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 2,
      total_tokens: 3,
    });
    expect(usageOf({ tokens: 3 })).toBeUndefined();
    expect(usageOf(usage)).toEqual(usage);
  });

  it("the last event gets the blank line without which clients drop it", () => {
    const bytes = printed(lmStudio([text]));
    const translator = translatorFor();
    const passed = Buffer.concat([translator.push(bytes.subarray(0, -1)), translator.end()]);
    expect(passed.toString().trimEnd()).toBe(bytes.toString().trimEnd());
    expect(passed.toString()).toMatch(/\n\n$/);
    expect(translator.fault).toBeUndefined();
  });
});
