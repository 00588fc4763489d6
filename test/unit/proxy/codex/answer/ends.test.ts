import { describe, expect, it } from "vitest";
import { AnswerTranslator } from "../../../../../proxy/codex/answer/translator.ts";
import { type Json, printed } from "../../answer/dialects.ts";
import { codexTools, lmStudio, type Said, text, translated, translatorFor } from "./streams.ts";

describe("a stop", () => {
  const stopped = (more: Json): Json[] => {
    const events = lmStudio([text], more);
    return translated([...events.slice(0, -1), { ...events.at(-1), type: "response.incomplete" }]).events;
  };

  it("at the limit of tokens is no failure: the answer is complete as far as it goes", () => {
    for (const incomplete_details of [{ reason: "max_output_tokens" }, null, undefined]) {
      expect(stopped({ status: "incomplete", incomplete_details }).at(-1)).toMatchObject({
        type: "response.completed",
        response: { status: "incomplete" },
      });
    }
  });

  it("of another kind keeps its name, so that Codex says what it was", () => {
    expect(stopped({ incomplete_details: { reason: "content_filter" } }).at(-1)?.type).toBe("response.incomplete");
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
    const faultOf = (said: Said[], input_tokens: number, contextLength?: number) => {
      const counts = { input_tokens, output_tokens: 0, total_tokens: input_tokens };
      const parts = { calls: codexTools, responseId: "resp_own", toldId: () => undefined, contextLength };
      const translator = new AnswerTranslator(parts);
      translated(lmStudio(said, { usage: counts }), { translator });
      return translator.fault;
    };
    expect(faultOf([], 40_000, 32_768)).toMatchObject({ code: "context_length_exceeded" });
    expect([faultOf([], 30_000, 32_768), faultOf([], 40_000)]).toEqual([undefined, undefined]);
    expect(faultOf([text], 40_000, 32_768)).toBeUndefined();
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
