import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestMemo, translateRequest } from "../../../../../proxy/codex/request/translate.ts";
import { JsonBody } from "../../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../../proxy/splice/rewriting.ts";

const folder = join(import.meta.dirname, "../../../../codex-fixtures");
const fixtures = readdirSync(folder).filter((name) => name.endsWith(".json"));

/** `cuts`: the body comes in pieces that end there. */
function translate(text: string, memo = new RequestMemo(), cuts: readonly number[] = []) {
  const bytes = Buffer.from(text);
  const body = new JsonBody();
  let from = 0;
  for (const to of [...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length]) {
    if (to > from) body.push(bytes.subarray(from, to));
    from = Math.max(from, to);
  }
  body.end();
  const rewriting = new Rewriting(body);
  const { applied, droppedTools } = translateRequest(
    rewriting,
    { images: false, search: { recall: () => "found" } },
    memo,
  );
  return { text: Buffer.concat(rewriting.chunks()).toString(), applied, droppedTools };
}

describe.each(fixtures)("what the real Codex sent: %s", (name) => {
  const captured = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const text = JSON.stringify(captured.body ?? captured);

  it("is translated once: nothing is left to do in the result", () => {
    const { text: sent } = translate(text);
    expect(translate(sent)).toEqual({ text: sent, applied: [], droppedTools: [] });
  });

  it("is the same with what earlier turns left, and however its bytes came", () => {
    const memo = new RequestMemo();
    const first = translate(text, memo);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 6 }), (cuts) => {
        expect(translate(text, memo, cuts)).toEqual(first);
      }),
      { numRuns: 20 },
    );
  });
});
