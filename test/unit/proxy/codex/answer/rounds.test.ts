import { describe, expect, it } from "vitest";
import { type Json, printed, read } from "../../answer/dialects.ts";
import {
  call,
  codexTools,
  doneItems,
  finalOutput,
  itemOf,
  lmStudio,
  ofType,
  patch,
  responseId,
  responseOf,
  text,
  tools,
  translated,
  translatorFor,
  withExtras,
} from "./streams.ts";

it("a client that was told an id by a heartbeat is told no other one, and no second beginning", () => {
  const { events } = translated(lmStudio([text]), { translator: translatorFor(codexTools, "resp_told") });
  expect(ofType(events, "response.created")).toEqual([]);
  const ids = events.flatMap(({ response }) => (response as Json | undefined)?.id ?? []);
  expect(ids).toEqual(["resp_told", "resp_told"]);
});

describe("an answer that goes on after a search", () => {
  const calls = tools({
    ...Object.fromEntries(codexTools.origins),
    web_search: { kind: "web-search", settings: { domains: [], results: 8 } },
  });
  const first = [text, call("web_search", '{"query":"lmstack"}')];
  const second = [text, call("apply_patch", JSON.stringify({ input: patch })), call("exec_command")];

  it("is one answer: one beginning, one id, numbers and places that go on, one end", () => {
    const translator = translatorFor(calls);
    const bytes = [translator.push(printed(lmStudio(first), withExtras)), translator.end()];
    expect(translator.round).toMatchObject({ searches: [{ query: "lmstack" }], callsClient: false });
    expect(translator.round?.output).toEqual([itemOf(text, 0)]);
    const { id } = translator.round?.searches[0] ?? { id: "" };
    bytes.push(translator.settle(id, "completed"), translator.settle(id, "failed"), translator.nextRound());
    bytes.push(translator.push(printed(lmStudio(second), withExtras)), translator.end());
    expect([translator.round, translator.fault]).toEqual([undefined, undefined]);
    const events = read(Buffer.concat(bytes)) as Json[];
    for (const type of ["response.created", "response.in_progress", "response.completed"])
      expect(ofType(events, type)).toHaveLength(1);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()]);
    expect(ofType(events, "response.output_item.done").map(({ output_index }) => output_index)).toEqual([
      0, 1, 2, 3, 4,
    ]);
    expect(ofType(events, "response.custom_tool_call_input.done")).toMatchObject([{ output_index: 3 }]);
    expect(ofType(events, "response.output_text.delta").map(({ output_index }) => output_index)).toEqual([0, 0, 2, 2]);
    expect(doneItems(events)[1]).toMatchObject({ type: "web_search_call", status: "completed" });
    expect(finalOutput(events)).toEqual(doneItems(events));
  });

  it("is the same as a document", () => {
    const translator = translatorFor(calls);
    expect(translator.whole(Buffer.from(JSON.stringify(responseOf(first)))).length).toBe(0);
    translator.nextRound();
    const { output, id } = JSON.parse(translator.whole(Buffer.from(JSON.stringify(responseOf(second)))).toString());
    expect(id).toBe(responseId);
    expect(output).toMatchObject([
      { type: "message" },
      { type: "web_search_call", status: "failed" },
      { type: "message" },
      { type: "custom_tool_call" },
      { type: "function_call" },
    ]);
  });

  it("ends with its first round when there is no other one", () => {
    const translator = translatorFor(calls);
    const bytes = [translator.push(printed(lmStudio(first))), translator.finish(false)];
    const events = read(Buffer.concat(bytes)) as Json[];
    expect(doneItems(events)).toMatchObject([{ type: "message" }, { type: "web_search_call", status: "failed" }]);
    expect(finalOutput(events)).toEqual(doneItems(events));
    expect(events.at(-1)?.type).toBe("response.completed");
  });
});
