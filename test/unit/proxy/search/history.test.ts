import { expect, it } from "vitest";
import { continuedRequest } from "../../../../proxy/search/continued.ts";
import { replayedSearch, webSearchCall } from "../../../../proxy/search/items.ts";
import { SearchMemory } from "../../../../proxy/search/memory.ts";
import { JsonBody } from "../../../../proxy/splice/body.ts";

const id = "ws_0123456789abcdef0123456789abcdef";

it("a search comes back in later turns with what it found", () => {
  const item = webSearchCall(id, "the weather", "completed");
  const { call, output } = replayedSearch(item, "web_search", () => "rain");
  expect(call).toEqual({
    type: "function_call",
    call_id: "call_0123456789abcdef0123456789abcdef",
    name: "web_search",
    arguments: '{"query":"the weather"}',
  });
  expect(output).toEqual({ type: "function_call_output", call_id: call.call_id, output: "rain" });
});

it("a search that nobody here remembers says so, whoever made it", () => {
  const opened = {
    type: "web_search_call",
    status: "completed",
    action: { type: "open_page", url: "https://x.example/" },
  };
  for (const item of [
    opened,
    { type: "web_search_call" },
    { ...opened, action: null },
    webSearchCall(id, "q", "failed"),
  ]) {
    const { call, output } = replayedSearch(item, "web_search", () => undefined);
    expect(output.output).toContain("no longer at hand");
    expect(call.call_id).toBe(output.call_id);
    expect(JSON.parse(call.arguments)).toHaveProperty("query");
  }
});

it("what searches found is remembered up to a bound, the latest used longest", () => {
  const memory = new SearchMemory(1_000);
  memory.remember("a", "x".repeat(200));
  memory.remember("b", "y".repeat(200));
  expect(memory.recall("a")).toBe("x".repeat(200));
  memory.remember("c", "z".repeat(200));
  expect([memory.recall("a"), memory.recall("b"), memory.recall("c")].map(Boolean)).toEqual([true, false, true]);
  memory.remember("huge", "h".repeat(1_000));
  expect(memory.recall("huge")).toBeUndefined();
});

const continued = (request: string, ...items: unknown[]) => {
  const { chunks } = continuedRequest(JsonBody.of(Buffer.from(request)), items);
  return chunks.slice(0, chunks.length).toString();
};

it("the next round's request is the client's own, byte for byte, with the answer so far behind it", () => {
  expect(continued('{ "model":"m","input":[ {"a":1} ] ,"x":"\\u0041"}', { b: 2 }, { c: 3 })).toBe(
    '{ "model":"m","input":[ {"a":1},{"b":2},{"c":3} ] ,"x":"\\u0041"}',
  );
  expect(continued('{"input":[]}', { b: 2 })).toBe('{"input":[{"b":2}]}');
});

it("a request whose input is one text goes on as a list", () => {
  expect(continued('{"input":"hi \\u00e9"}', { b: 2 })).toBe(
    '{"input":[{"type":"message","role":"user","content":"hi \\u00e9"},{"b":2}]}',
  );
});

it("a choice of tools that was forced is forced once, and none stays none", () => {
  const choice = (text: string) => JSON.parse(continued(`{"input":[],"tool_choice":${text}}`, {})).tool_choice;
  expect(choice('"required"')).toBe("auto");
  expect(choice('{"type":"web_search"}')).toBe("auto");
  expect(choice('{"type":"allowed_tools","mode":"required","tools":[1]}')).toEqual({
    type: "allowed_tools",
    mode: "auto",
    tools: [1],
  });
  expect(choice('"none"')).toBe("none");
});
