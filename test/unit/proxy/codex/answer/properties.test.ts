import fc from "fast-check";
import { ResponseStream } from "openai/lib/responses/ResponseStream";
import { describe, expect, it } from "vitest";
import { inPieces } from "../../answer/answer-text.ts";
import { anyPrinting, printed } from "../../answer/dialects.ts";
import {
  codexTools,
  doneItems,
  lmStudio,
  responseId,
  responseOf,
  type Said,
  text,
  translated,
  translatorFor,
  withExtras,
} from "./streams.ts";

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
      fc.property(answer, anyPrinting, fc.array(fc.nat(), { maxLength: 30 }), (drawn, printing, cuts) => {
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
    const { length } = printed(events, withExtras);
    for (let cut = 1; cut < length; cut++) {
      expect(translated(events, { printing: withExtras, cuts: [cut] }).events).toEqual(whole);
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
