import fc from "fast-check";
import { ResponseStream } from "openai/lib/responses/ResponseStream";
import { describe, expect, it } from "vitest";
import { AnswerTranslator } from "../../../../../proxy/codex/answer/translator.ts";
import { inPieces, splitAt } from "../../answer/answer-text.ts";
import { type Json, type Printing, printed, read } from "../../answer/dialects.ts";
import {
  codexTools,
  doneItems,
  finalOutput,
  itemOf,
  lmStudio,
  ofType,
  plainTools,
  responseId,
  responseOf,
  type Said,
  tools,
  translated,
  translatorFor,
  usage,
} from "./streams.ts";

const text: Said = { kind: "text", pieces: ["Hel", "lo."] };
const call = (name: string, args: unknown = "{}"): Said => ({ kind: "call", name, arguments: args });
const patch = "*** Begin Patch\n*** End Patch";

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

describe("an answer in which nothing is to be done", () => {
  const said: Said[] = [{ kind: "reasoning", pieces: ["Hm."] }, text, call("exec_command", '{"cmd":"ls"}')];

  it("keeps every byte, however the network cuts it", () => {
    const bytes = printed([...lmStudio(said), "[DONE]"], printingOf(true));
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
        const translator = translatorFor(plainTools);
        const passed = splitAt(bytes, cuts).map((chunk) => translator.push(chunk));
        expect(Buffer.concat([...passed, translator.end()])).toEqual(bytes);
        expect(translator.fault).toBeUndefined();
      }),
    );
  });

  it("passes a chunk of deltas as the very buffer that came", () => {
    const events = lmStudio([text]);
    const translator = translatorFor();
    translator.push(printed(events.slice(0, 4)));
    const deltas = printed(events.slice(4, 6));
    expect(translator.push(deltas)).toBe(deltas);
  });

  it("keeps every byte as a document", () => {
    const body = Buffer.from(JSON.stringify(responseOf(said), undefined, 2));
    expect(translatorFor(plainTools).whole(body)).toBe(body);
  });
});

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

describe("a stop", () => {
  it("at the limit of tokens is no failure: the answer is complete as far as it goes", () => {
    for (const incomplete_details of [{ reason: "max_output_tokens" }, null, undefined]) {
      const events = lmStudio([text], { status: "incomplete", incomplete_details });
      const last = { ...(events.at(-1) as Json), type: "response.incomplete" };
      const said = translated([...events.slice(0, -1), last]).events;
      expect(said.at(-1)).toMatchObject({ type: "response.completed", response: { status: "incomplete" } });
    }
  });

  it("of another kind keeps its name, so that Codex says what it was", () => {
    const events = lmStudio([text], { incomplete_details: { reason: "content_filter" } });
    const last = { ...(events.at(-1) as Json), type: "response.incomplete" };
    expect(translated([...events.slice(0, -1), last]).events.at(-1)?.type).toBe("response.incomplete");
  });
});

describe("a failure in the stream", () => {
  const overflow =
    "Input does not fit in context length. The input has 31430 tokens, but the context length only supports 30000 tokens.";
  const after = (bytes: string) => {
    const translator = translatorFor();
    translator.push(printed(lmStudio([text]).slice(0, 5)));
    const passed = translator.push(Buffer.from(bytes));
    return { translator, passed: passed.toString() };
  };

  it.each([
    ["as LM Studio sends it", `event: error\ndata: {"error":{"message":"${overflow}"},"message":"${overflow}"}\n\n`],
    ["without a name", `data: {"error":"${overflow}"}\n\n`],
    ["in OpenAI's form", `event: error\ndata: {"type":"error","code":"x","message":"${overflow}"}\n\n`],
    [
      "as a failed response",
      `data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"${overflow}"}}}\n\n`,
    ],
  ])("%s is a fault with its meaning, and nothing passes after it", (_, bytes) => {
    const { translator, passed } = after(bytes);
    expect(translator.fault).toMatchObject({ code: "context_length_exceeded", status: 400 });
    expect(translator.fault?.message).toContain("31430 tokens");
    expect(passed).toBe("");
    expect(translator.push(printed(lmStudio([text]))).length + translator.end().length).toBe(0);
  });

  it("is told from a text that speaks of one", () => {
    const said: Said = { kind: "text", pieces: ['{"error":"context length"}', "\nevent: error\ndata: {}\n\n"] };
    expect(translated(lmStudio([said])).translator.fault).toBeUndefined();
  });

  it("is an answer of nothing to a prompt that fills the context, and no other answer of nothing", () => {
    const nothing = (input_tokens: number, contextLength?: number) => {
      const counts = { input_tokens, output_tokens: 0, total_tokens: input_tokens };
      const parts = { calls: codexTools, responseId: "resp_own", toldId: () => undefined, contextLength };
      return translated(lmStudio([], { usage: counts }), { translator: new AnswerTranslator(parts) }).translator.fault;
    };
    expect(nothing(40_000, 32_768)).toMatchObject({ code: "context_length_exceeded" });
    expect([nothing(30_000, 32_768), nothing(40_000)]).toEqual([undefined, undefined]);
    const counts = { input_tokens: 40_000, output_tokens: 0, total_tokens: 40_000 };
    const parts = { calls: codexTools, responseId: "resp_own", toldId: () => undefined, contextLength: 32_768 };
    const translator = new AnswerTranslator(parts);
    expect(translated(lmStudio([text], { usage: counts }), { translator }).translator.fault).toBeUndefined();
  });

  it("is an answer that stops without its end, even in the middle of an event", () => {
    const bytes = printed(lmStudio([text]));
    const translator = translatorFor();
    const passed = Buffer.concat([translator.push(bytes.subarray(0, -40)), translator.end()]).toString();
    expect(translator.fault).toMatchObject({ code: "upstream_error", status: 502 });
    expect(passed).not.toContain("response.completed");
    expect(passed.endsWith("\n\n")).toBe(true);
  });
});

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
    const bytes = [translator.push(printed(lmStudio(first), printingOf(true))), translator.end()];
    expect(translator.round).toMatchObject({ searches: [{ query: "lmstack" }], callsClient: false });
    expect(translator.round?.output).toEqual([itemOf(text, 0)]);
    const { id } = translator.round?.searches[0] ?? { id: "" };
    bytes.push(translator.settle(id, "completed"), translator.settle(id, "failed"), translator.nextRound());
    bytes.push(translator.push(printed(lmStudio(second), printingOf(true))), translator.end());
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

const printingOf = (names: boolean): Printing => ({
  end: "\n",
  blank: " ",
  lessThan: "<",
  names,
  twoLines: false,
  comments: names,
});

const printing: fc.Arbitrary<Printing> = fc.record({
  end: fc.constantFrom("\n" as const, "\r\n" as const),
  blank: fc.constantFrom("" as const, " " as const),
  lessThan: fc.constantFrom("<" as const, "\\u003c" as const),
  names: fc.boolean(),
  twoLines: fc.boolean(),
  comments: fc.boolean(),
});

const name = fc.oneof(
  fc.constantFrom(...codexTools.origins.keys()),
  fc.constantFrom("close_agent", "functions.exec_command", "shell", "read"),
);
const args: fc.Arbitrary<unknown> = fc.oneof(
  fc.string({ unit: "binary" }).map((input) => JSON.stringify({ input })),
  fc.json(),
  fc.dictionary(fc.string(), fc.string()),
  fc.constantFrom("", "```\nx\n```", '{"input":"cut'),
);
const said: fc.Arbitrary<Said> = fc.oneof(
  inPieces(fc.string({ unit: "grapheme" })).chain((pieces) =>
    fc.constantFrom("text" as const, "reasoning" as const).map((kind) => ({ kind, pieces })),
  ),
  fc.record({ kind: fc.constant("call" as const), name, arguments: args }),
);
const left = fc.subarray([
  "response.output_item.done",
  "response.output_text.done",
  "response.function_call_arguments.done",
]);
const answer = fc.tuple(fc.array(said, { maxLength: 4 }), left, fc.boolean());
const eventsOf = ([items, missing, noOutput]: [Said[], string[], boolean]) =>
  lmStudio(items, noOutput ? { output: [] } : {}).filter(({ type }) => !missing.includes(type as string));

describe("whatever a model puts out and LM Studio leaves out", () => {
  it("every cut of the bytes gives the same events", () => {
    fc.assert(
      fc.property(answer, printing, fc.array(fc.nat(), { maxLength: 30 }), (drawn, printing, cuts) => {
        const events = eventsOf(drawn);
        const whole = translated(events, { printing });
        const cut = translated(events, { printing, cuts });
        expect(cut.events).toEqual(whole.events);
        expect([...cut.translator.repairs]).toEqual([...whole.translator.repairs]);
      }),
    );
  });

  it("every single cut does, where ends are missing too", () => {
    const items: Said[] = [text, { kind: "call", name: "apply_patch", arguments: "", pieces: ['{"input":', '"x"}'] }];
    const events = eventsOf([items, ["response.output_item.done", "response.output_text.done"], true]);
    const whole = translated(events).events;
    const { length } = printed(events, printingOf(true));
    for (let cut = 1; cut < length; cut++) {
      expect(translated(events, { printing: printingOf(true), cuts: [cut] }).events).toEqual(whole);
    }
  });

  it("a stream and a document say the same", () => {
    fc.assert(
      fc.property(fc.array(said, { maxLength: 4 }), (items) => {
        const stream = translated(lmStudio(items));
        const translator = translatorFor();
        const document = JSON.parse(translator.whole(Buffer.from(JSON.stringify(responseOf(items)))).toString());
        expect(stream.events.at(-1)?.response).toEqual(document);
        expect(doneItems(stream.events)).toEqual(document.output);
        expect([...translator.repairs]).toEqual([...stream.translator.repairs]);
        const asStream = translatorFor();
        const told = asStream.streamed(Buffer.from(JSON.stringify(responseOf(items)))) as Buffer;
        expect(asStream.fault).toBeUndefined();
        expect(told.toString()).toContain('"type":"response.completed"');
      }),
    );
  });

  it("the openai package, which checks every step, follows the stream to its end", async () => {
    await fc.assert(
      fc.asyncProperty(answer, async ([items, missing]) => {
        const { events } = translated(eventsOf([items, missing, false]));
        const lines = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
        const stream = ResponseStream.fromReadableStream(new Blob([lines]).stream() as unknown as ReadableStream);
        const final = await stream.finalResponse();
        expect(final.id).toBe(responseId);
        expect(final.output.length).toBe(items.length);
      }),
      { numRuns: 50 },
    );
  });
});
