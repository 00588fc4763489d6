import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LeakFilter, withoutLeaks } from "../../../../proxy/answer/leak.ts";
import { answerText, inPieces, splitAt } from "./answer-text.ts";
import { anyPrinting, type Dialect, dialects, plainPrinting, printed, read, textsOf } from "./dialects.ts";

const whole = (dialect: Dialect, texts: readonly string[]) =>
  withoutLeaks(dialect.form, Buffer.from(JSON.stringify(dialect.whole(texts))));

const cut = (dialect: Dialect, texts: readonly string[]): string[] =>
  dialect.wholes(JSON.parse(whole(dialect, texts).body.toString()) as Record<string, unknown>);

function filtered(dialect: Dialect, chunks: readonly Buffer[]): { bytes: Buffer; leaks: number } {
  const filter = new LeakFilter(dialect.form);
  const passed = chunks.map((chunk) => filter.push(Buffer.from(chunk)));
  return { bytes: Buffer.concat([...passed, filter.end()]), leaks: filter.leaks };
}

/** As a network brings them that is faster than the model. */
const eventsApart = (bytes: Buffer): Buffer[] =>
  bytes
    .toString()
    .split(/(?<=\n\n)/)
    .map((event) => Buffer.from(event));

const texts = fc.array(inPieces(answerText), { minLength: 1, maxLength: 3 });
const joined = (all: readonly (readonly string[])[]) => all.map((pieces) => pieces.join(""));

describe.each(dialects.map((dialect) => [dialect.form, dialect] as const))("a stream of %s", (_form, dialect) => {
  it("says what the whole answer says, wherever tokens and network cut it", () => {
    fc.assert(
      fc.property(texts, anyPrinting, fc.array(fc.nat(), { maxLength: 40 }), (all, how, cuts) => {
        const bytes = printed(dialect.events(all), how);
        const result = filtered(dialect, splitAt<Buffer>(bytes, cuts));
        const found = textsOf(dialect, read(result.bytes), all.length);
        const expected = cut(dialect, joined(all));
        expect(found.grown).toEqual(expected);
        expect(new Set(found.wholes)).toEqual(new Set(found.wholes.length > 0 ? expected : []));
        expect(found.late).toBe(false);
        expect(result.leaks).toBe(whole(dialect, joined(all)).leaks);
        if (expected.every((text, index) => text === joined(all)[index])) expect(result.bytes).toEqual(bytes);
      }),
      { numRuns: 1500 },
    );
  });

  it("is the same after a second filter", () => {
    fc.assert(
      fc.property(texts, anyPrinting, fc.array(fc.nat(), { maxLength: 10 }), (all, how, cuts) => {
        const once = filtered(dialect, [printed(dialect.events(all), how)]).bytes;
        expect(filtered(dialect, splitAt<Buffer>(once, cuts)).bytes).toEqual(once);
      }),
    );
  });

  it("is understood far behind its start, with thousands of plain words that nobody read", () => {
    const words = fc.integer({ min: 1, max: 400 }).map((count) => Array.from({ length: count }, (_, i) => ` w${i}`));
    const part = fc.oneof(
      words,
      inPieces(answerText),
      fc.constant(["\n"]),
      fc.constantFrom(["```", "\n"], ["~~~", "\n"]),
    );
    const long = fc.array(part, { minLength: 2, maxLength: 8 }).map((parts) => parts.flat());
    fc.assert(
      fc.property(long, fc.integer({ min: 60, max: 5000 }), (pieces, size) => {
        const bytes = printed(dialect.events([["Yes", ...pieces]]));
        const cuts = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => i * size);
        const found = textsOf(dialect, read(filtered(dialect, splitAt<Buffer>(bytes, cuts)).bytes), 1);
        expect(found.grown).toEqual(cut(dialect, [`Yes${pieces.join("")}`]));
      }),
    );
  });

  it("passes each plain chunk on at once as the buffer that it is, even when it ends within an event", () => {
    const words = Array.from({ length: 300 }, (_, index) => (index % 9 === 0 ? "\n" : ` word${index}`));
    const bytes = printed(dialect.events([words]));
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (cuts) => {
        const filter = new LeakFilter(dialect.form);
        for (const chunk of splitAt<Buffer>(bytes, cuts)) {
          // The escape of a newline is cut: it could be that of a tag.
          fc.pre(!chunk.toString("latin1").endsWith("\\"));
          expect(filter.push(chunk)).toBe(chunk);
        }
        expect(filter.end()).toHaveLength(0);
      }),
    );
  });

  it("loses no byte when it breaks off, or was none", () => {
    const harmless = fc.array(inPieces(answerText.map((text) => text.replaceAll("think", "thin"))), { minLength: 1 });
    const broken = fc.oneof(
      fc.tuple(harmless, anyPrinting, fc.nat()).map(([all, how, at]) => {
        const bytes = printed(dialect.events(all), how);
        return bytes.subarray(0, at % bytes.length);
      }),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.constantFrom("data:", "\n", "\r", "{", "}", '"', "<think>", "event: x", "\\", "delta", ":", "`"), {
          maxLength: 30,
        })
        .map((parts) => Buffer.from(parts.join(""))),
    );
    fc.assert(
      fc.property(broken, fc.array(fc.nat(), { maxLength: 10 }), (bytes, cuts) => {
        expect(filtered(dialect, splitAt<Buffer>(bytes, cuts)).bytes).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("lets what was held back go before its text ends", () => {
    const events = dialect.events([["So: ", "<think>", " is a tag"]]);
    const end = events.findIndex((event) => typeof event !== "string" && dialect.ends(event) !== undefined);
    const bytes = printed(events.slice(0, end + 1));
    expect(new LeakFilter(dialect.form).push(bytes)).toEqual(bytes);
  });

  it("has each event as soon as its last byte is there", () => {
    const bytes = printed(dialect.events([["a `b`", " c `d`."]]));
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), fc.constantFrom("\n", "\r\n"), (cuts, lineEnd) => {
        const filter = new LeakFilter(dialect.form);
        let came = "";
        let passed = "";
        for (const chunk of splitAt<Buffer>(Buffer.from(bytes.toString().replaceAll("\n", lineEnd)), cuts)) {
          came += chunk.toString("latin1");
          passed += filter.push(chunk).toString("latin1");
          expect(came.startsWith(passed)).toBe(true);
          const behind = came.lastIndexOf(lineEnd + lineEnd) + 2 * lineEnd.length;
          expect(passed.length).toBeGreaterThanOrEqual(came.includes(lineEnd + lineEnd) ? behind : 0);
        }
      }),
    );
  });

  it("loses nothing when a text begins again without having ended", () => {
    const events = dialect.events([["So ", "<", "th", "ere"]]);
    const held = events.findIndex((event) => typeof event !== "string" && dialect.piece(event)?.piece === "th");
    const bytes = printed([...events.slice(0, held + 1), ...events]);
    expect(filtered(dialect, [bytes]).bytes).toEqual(bytes);
  });

  it("takes a text that begins again for a new one", () => {
    // A choice of a chat has no beginning of its own.
    if (dialect.form === "chat") return;
    const before = dialect.events([["So "]]);
    const last = before.findIndex((event) => typeof event !== "string" && dialect.piece(event) !== undefined);
    const bytes = printed([...before.slice(0, last + 1), ...dialect.events([["<think>", "hm"]])]);
    expect(filtered(dialect, [bytes]).bytes.toString()).not.toContain("hm");
  });

  it.each(["```", "~~~"])("knows whether a fence of %s is open, however much passed since", (fence) => {
    const words = Array.from({ length: 400 }, (_, index) => ` w${index}`);
    const thought = ["<think>", "b", "</think>"];
    const pieces = ["So:", "\n", fence, "\n", "a", ...words, ...thought, "\n", fence, " ", "\n", ...words];
    const chunks = eventsApart(printed(dialect.events([[...pieces, ...thought]])));
    expect(textsOf(dialect, read(filtered(dialect, chunks).bytes), 1).grown).toEqual([pieces.join("")]);
  });

  it("leaves out what nothing is left of", () => {
    const events = dialect.events([["<think>", "hm", "</think>", "\n\n", "Yes."]]);
    const left = read(filtered(dialect, [printed(events)]).bytes);
    const pieces = left.flatMap((event) => (typeof event === "string" ? [] : (dialect.piece(event)?.piece ?? [])));
    expect(pieces.filter((piece) => piece !== "")).toEqual(["Yes."]);
    expect(left.length).toBeLessThan(events.length - (dialect.form === "chat" ? 2 : 3));
  });
});

describe("a thought in a chat stream", () => {
  it("takes nothing with it that came in the same event", () => {
    const [chat] = dialects;
    const choice = (delta: object, finish: string | null = null) => ({
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    const events = [
      choice({ role: "assistant", content: "<think>hm" }),
      choice({ content: "so", tool_calls: [{ index: 0 }] }),
      choice({ content: "</think>" }, "stop"),
    ];
    const left = read(filtered(chat as Dialect, [printed(events)]).bytes);
    expect(left).toEqual([
      choice({ role: "assistant", content: "" }),
      choice({ content: "", tool_calls: [{ index: 0 }] }),
      choice({ content: "" }, "stop"),
    ]);
  });
});

it("ends a chat with its last event, though no choice said that it was done", () => {
  const bytes = printed([{ choices: [{ index: 0, delta: { content: "a <think>" } }] }, "[DONE]"]);
  expect(new LeakFilter("chat").push(bytes)).toEqual(bytes);
});

it("leaves reasoning alone that says it is some", () => {
  const text = "<think>hm</think>";
  const streams: Record<string, Record<string, unknown>[]> = {
    responses: [
      { type: "response.reasoning_text.delta", delta: text },
      { type: "response.reasoning_text.done", text },
      { type: "response.content_part.done", part: { type: "reasoning_text", text } },
      { type: "response.output_item.done", item: { type: "reasoning", content: [{ type: "reasoning_text", text }] } },
      { type: "response.function_call_arguments.delta", delta: text },
    ],
    chat: [{ choices: [{ index: 0, delta: { reasoning_content: text } }] }],
    messages: [{ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: text } }],
    "native-chat": [{ type: "reasoning.delta", content: text }],
  };
  for (const dialect of dialects) {
    const bytes = printed(streams[dialect.form] ?? []);
    expect(filtered(dialect, [bytes])).toEqual({ bytes, leaks: 0 });
  }
});

it("leaves completions alone: they are the client's own text, going on", () => {
  const bytes = printed([{ choices: [{ index: 0, text: "<think>hm</think>" }] }], plainPrinting);
  const filter = new LeakFilter("completions");
  expect(filter.push(bytes)).toBe(bytes);
  expect(filter.end()).toHaveLength(0);
  expect(withoutLeaks("completions", bytes).body).toBe(bytes);
});

describe.each(dialects.map((dialect) => [dialect.form, dialect] as const))("a whole answer of %s", (_form, dialect) => {
  it("is the very same buffer when nothing leaked", () => {
    for (const text of ["Yes.", "a <b> `<think>x</think>`", "<think", "é😀"]) {
      const body = Buffer.from(JSON.stringify(dialect.whole([text])));
      expect(withoutLeaks(dialect.form, body)).toEqual({ body, leaks: 0 });
      expect(withoutLeaks(dialect.form, body).body).toBe(body);
    }
  });

  it("keeps every byte around what is cut", () => {
    const print = (text: string) => JSON.stringify(dialect.whole(["one", text]), null, 3).replaceAll("<", "\\u003C");
    const result = withoutLeaks(dialect.form, Buffer.from(print("<think>\n</think>\n Yes <b>.")));
    expect(result.body.toString()).toBe(print("Yes <b>."));
    expect(result.leaks).toBe(1);
  });

  it("passes as it is when it is not JSON", () => {
    for (const text of ["<think>a</think>", "", '{"choices":[{"message":{"content":"<think>', "[1]<"]) {
      const body = Buffer.from(text);
      expect(withoutLeaks(dialect.form, body).body).toBe(body);
    }
  });
});
