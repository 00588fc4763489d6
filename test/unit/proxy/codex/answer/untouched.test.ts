import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitAt } from "../../answer/answer-text.ts";
import { printed } from "../../answer/dialects.ts";
import { call, lmStudio, plainTools, responseOf, type Said, text, translatorFor, withExtras } from "./streams.ts";

describe("an answer in which nothing is to be done", () => {
  const said: Said[] = [{ kind: "reasoning", pieces: ["Hm."] }, text, call("exec_command", '{"cmd":"ls"}')];

  it("keeps every byte, however the network cuts it", () => {
    const bytes = printed([...lmStudio(said), "[DONE]"], withExtras);
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
