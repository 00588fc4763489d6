/** What the real Codex sent (test/codex-fixtures), on the way to LM Studio and back. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RequestMemo } from "../../../proxy/codex/request/translate.ts";
import { calledTool, givenTo, keyOf, numbered, readStream, toolsOf } from "./codex-fidelity/codex.ts";
import { type Json, listOf } from "./codex-fidelity/json.ts";
import { answer, complaints } from "./codex-fidelity/lm-studio.ts";
import { calledAll, sentUp, streamedDown } from "./codex-fidelity/round-trip.ts";
import { json, send, startTestProxy, startUpstream } from "./harness.ts";

const folder = join(import.meta.dirname, "../../codex-fixtures");
const captures = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => {
    const asked = JSON.parse(readFileSync(join(folder, file), "utf8")) as Json;
    return { name: file.replace(".json", ""), asked };
  });
const patch = '*** Begin Patch\n*** Add File: é.txt\n+\\u0041 "quoted"\n*** End Patch\n';

describe.each(captures)("Codex's request $name", ({ asked }) => {
  it("is one that LM Studio takes at its strictest, whether its model sees images or not", () => {
    for (const images of [true, false]) {
      const { body, text } = sentUp(JSON.stringify(asked), { images });
      expect(complaints(body, { images })).toEqual([]);
      expect(sentUp(text, { images }).text).toBe(text);
    }
  });

  it("has every tool called and given what the model said, however the stream is cut", () => {
    const marked = numbered(asked);
    const sent = sentUp(JSON.stringify(marked.asked));
    for (const argumentPieces of [false, true]) {
      const { answer, ran, expected, amiss, stream } = calledAll(
        marked.asked,
        sent,
        marked.toolBehind,
        patch,
        argumentPieces,
      );
      expect(ran).toEqual(expected);
      expect(amiss).toEqual([]);
      expect(new Set(expected.map(([key]) => key))).toEqual(new Set(toolsOf(marked.asked).keys()));
      const bytes = Array.from(answer.stream, (_, at) => answer.stream.subarray(at, at + 1));
      expect(streamedDown(sent.calls, bytes).equals(stream)).toBe(true);
    }
  });

  it("has the same items in front as the turns before it", () => {
    const memo = new RequestMemo();
    const items = listOf(asked.input);
    const turns = items.flatMap((_, at) => (endsTurn(items, at) ? [at + 1] : []));
    let before: readonly Json[] = [];
    for (const turn of turns) {
      const { body } = sentUp(JSON.stringify({ ...asked, input: items.slice(0, turn) }), { images: true }, memo);
      expect(listOf(body.input).slice(0, before.length)).toEqual(before);
      before = listOf(body.input);
    }
  });
});

/** Codex asks again when every call has its output. */
function endsTurn(items: readonly Json[], at: number): boolean {
  const next = items[at + 1]?.type;
  return (
    items[at]?.role === "user" || (String(items[at]?.type).endsWith("_output") && !String(next).endsWith("_output"))
  );
}

it("an answer with a call of each kind is the same for every place where its stream may be cut", () => {
  const asked = { input: [], tools: captures.find(({ name }) => name === "tool-search")?.asked.tools };
  const custom = { type: "custom", name: "apply_patch", description: "patches" };
  const marked = numbered({ ...asked, tools: [...listOf(asked.tools).slice(-2), custom] });
  const sent = sentUp(JSON.stringify(marked.asked));
  const { answer, stream } = calledAll(marked.asked, sent, marked.toolBehind, "é漢😀", true);
  for (let at = 1; at < answer.stream.length; at++) {
    const cut = streamedDown(sent.calls, [answer.stream.subarray(0, at), answer.stream.subarray(at)]);
    if (!cut.equals(stream)) expect(cut.toString(), `cut at ${at}`).toBe(stream.toString());
  }
});

describe("through the proxy", () => {
  const models = { "*": { thinking: "client" as const } };

  it("each request and its answer are translated, streamed and whole", async () => {
    // Calls whatever it was told of.
    await using upstream = await startUpstream((response, { body }) => {
      const { tools, stream } = JSON.parse(body) as Json;
      const says = listOf(tools).map(({ name, parameters }) => {
        const { input } = (parameters as { properties: Json }).properties;
        return { kind: "call", name: String(name), args: JSON.stringify(input ? { input: patch } : {}) } as const;
      });
      const said = answer(says, false);
      response.setHeader("content-type", stream === true ? "text/event-stream" : "application/json");
      response.end(stream === true ? said.stream : said.whole);
    });
    await using proxy = await startTestProxy({ upstream: upstream.url, models });
    for (const { name, asked } of captures) {
      for (const stream of [true, false]) {
        const { text, headers, status } = await send(proxy.port, "/v1/responses", json({ ...asked, stream }));
        expect(status, name).toBe(200);
        const items = stream ? readStream(Buffer.from(text)).items : listOf(JSON.parse(text).output);
        const tools = toolsOf(asked);
        const ran = items.map((item) => calledTool(item, tools));
        expect(new Set(ran.map((tool) => tool && keyOf(tool))), name).toEqual(new Set(tools.keys()));
        for (const [place, item] of items.entries())
          if (ran[place]?.kind === "custom") expect(givenTo(item)).toBe(patch);
        const searching = listOf(asked.tools).some(({ type }) => type === "web_search");
        expect(headers["x-lmstack-dropped-tools"], name).toBe(searching ? "web_search" : undefined);
      }
    }
    for (const { body } of upstream.seen) expect(complaints(JSON.parse(body) as Json, { images: true })).toEqual([]);
  });

  it('"codexTools": "pass" leaves every byte of such a request and its answer alone', async () => {
    const said = answer([{ kind: "call", name: "multi_agent_v1__close_agent", args: "{}" }], false);
    await using upstream = await startUpstream((response) => {
      response.setHeader("content-type", "text/event-stream").end(said.stream);
    });
    await using proxy = await startTestProxy({ upstream: upstream.url, models, codexTools: "pass" });
    for (const { asked } of captures) {
      const { text } = await send(proxy.port, "/v1/responses", json(asked));
      expect(text).toBe(said.stream.toString());
    }
    expect(upstream.seen.map(({ body }) => body)).toEqual(captures.map(({ asked }) => JSON.stringify(asked)));
  });
});
