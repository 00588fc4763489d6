import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestMemo } from "../../../proxy/codex/request/translate.ts";
import { JsonBody } from "../../../proxy/splice/body.ts";
import { splitAt } from "./answer/answer-text.ts";
import { numbered, toolsOf } from "./codex-fidelity/codex.ts";
import { type Json, listOf, textsIn } from "./codex-fidelity/json.ts";
import { complaints } from "./codex-fidelity/lm-studio.ts";
import { type Conversation, conversation, oddText, requestAt } from "./codex-fidelity/requests.ts";
import { calledAll, sentUp, streamedDown } from "./codex-fidelity/round-trip.ts";

const runs = { numRuns: 5000 };
const request = conversation.map((told) => requestAt(told));

describe("a request of Codex, whatever its tools are called and whatever was said", () => {
  it("is one that LM Studio takes at its strictest, and stays the same when it is translated again", () => {
    fc.assert(
      fc.property(request, fc.boolean(), fc.boolean(), (asked, images, searching) => {
        const options = { images, search: searching ? { recall: () => "found" } : undefined };
        const { text, body } = sentUp(JSON.stringify(asked), options);
        expect(complaints(body, { images })).toEqual([]);
        expect(sentUp(text, options).text).toBe(text);
      }),
      runs,
    );
  });

  it("is translated the same whatever was translated before", () => {
    const memo = new RequestMemo();
    fc.assert(
      fc.property(request, fc.boolean(), (asked, images) => {
        const text = JSON.stringify(asked);
        const alone = sentUp(text, { images });
        expect(sentUp(text, { images }, memo)).toEqual(alone);
        expect(sentUp(text, { images }, memo)).toEqual(alone);
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps every word of the conversation, in order", () => {
    fc.assert(
      fc.property(request, (asked) => {
        const { body } = sentUp(JSON.stringify(asked));
        const told = [...textsIn(body.instructions), ...textsIn(body.input)];
        const inside = listOf(body.input).flatMap(({ arguments: args }) =>
          typeof args === "string" ? [...textsIn(JSON.parse(args))] : [],
        );
        const all = [...told, ...inside];
        for (const word of wordsOf(asked)) if (!all.some((text) => text.includes(word))) expect(all).toContain(word);
        const callIds = (input: unknown) => listOf(input).flatMap(({ call_id }) => call_id ?? []);
        const own = callIds(asked.input);
        expect(callIds(body.input).filter((id) => own.includes(id))).toEqual(own);
      }),
      runs,
    );
  });

  it("begins with the same bytes in the next turn", () => {
    fc.assert(
      fc.property(conversation, fc.nat(), (told, turn) => {
        const memo = new RequestMemo();
        const at = (each: number) =>
          sentUp(JSON.stringify(requestAt(withNewNames(told), each)), { images: true }, memo);
        const earlier = at(turn % (told.steps.length + 1));
        const later = at(told.steps.length);
        expect(later.body.instructions).toEqual(earlier.body.instructions);
        expect(elementsOf(later.text).slice(0, elementsOf(earlier.text).length)).toEqual(elementsOf(earlier.text));
      }),
      { numRuns: 1000 },
    );
  });
});

it("a call keeps its bytes in a turn that has to rename another tool", () => {
  const found = { type: "function", name: "of two words" };
  const steps = [
    [
      { type: "function_call", status: "completed", id: "fc_1", name: "a", arguments: "{}", call_id: "call_1" },
      { type: "function_call_output", id: "fco_1", call_id: "call_1", output: "" },
    ],
    [
      { type: "tool_search_call", call_id: "call_2", execution: "client", arguments: {} },
      { type: "tool_search_output", call_id: "call_2", execution: "client", tools: [found] },
    ],
  ];
  const told = { front: [], steps, rest: {} };
  const [before, after] = [1, 2].map((turn) => elementsOf(sentUp(JSON.stringify(requestAt(told, turn))).text));
  expect(after?.slice(0, 2)).toEqual(before);
});

/** What a search finds is called as nothing before it: a tool that came later and wants a name that is taken would change it for what was said. */
function withNewNames({ steps, ...told }: Conversation): Conversation {
  const renamed = (item: Json, step: number): Json =>
    item.type === "tool_search_output"
      ? { ...item, tools: listOf(item.tools).map((tool, at) => ({ ...tool, name: `found_${step}_${at}` })) }
      : item;
  return { ...told, steps: steps.map((items, step) => items.map((item) => renamed(item, step))) };
}

/** The bytes of each item. */
function elementsOf(text: string): string[] {
  const body = JsonBody.of(Buffer.from(text));
  return (body.find("input")?.elements ?? []).map((element) => body.source(element));
}

/** What people, models and tools said; thoughts of earlier answers are left out on purpose. */
function* wordsOf(asked: Json): Generator<string> {
  for (const item of listOf(asked.input)) {
    if (item.type === "reasoning") continue;
    for (const part of [item.content, item.output].flat())
      if (typeof part === "string") yield part;
      else if (typeof (part as Json | undefined)?.text === "string") yield (part as { text: string }).text;
    if (typeof item.input === "string") yield item.input;
    if (typeof item.arguments === "string") yield item.arguments;
  }
}

describe("a call of any tool that LM Studio was told of", () => {
  it("comes back as the call that Codex runs, streamed and whole, however the stream is cut", () => {
    fc.assert(
      fc.property(
        request,
        oddText,
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 12 }),
        (plain, text, argumentPieces, cuts) => {
          const { asked, toolBehind } = numbered(plain);
          const sent = sentUp(JSON.stringify(asked));
          const { answer, ran, expected, amiss, stream } = calledAll(asked, sent, toolBehind, text, argumentPieces);
          expect(ran).toEqual(expected);
          expect(amiss).toEqual([]);
          expect(expected.map(([key]) => key).sort()).toEqual([...toolsOf(asked).keys()].sort());
          expect(streamedDown(sent.calls, splitAt(answer.stream, cuts)).equals(stream)).toBe(true);
        },
      ),
      runs,
    );
  });
});
