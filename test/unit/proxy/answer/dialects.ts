/** Answers of each dialect, printed from texts: as events of a stream and as a whole, and the texts read back from both. */
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import type { AnswerForm } from "../../../../proxy/answer/leak.ts";

export type Json = Record<string, unknown>;
type Pieces = readonly string[];

export interface Dialect {
  readonly form: AnswerForm;
  /** An answer with these texts, each in the pieces in which it is generated. */
  events(texts: readonly Pieces[]): (Json | string)[];
  whole(texts: readonly string[]): Json;
  /** A piece of the text with this number. */
  piece(event: Json): { readonly text: number; readonly piece: string } | undefined;
  /** Whole texts in an event or an answer. */
  wholes(event: Json): string[];
  /** What a client sees end the text with this number. */
  ends(event: Json): number | undefined;
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);

const chatChoice = (index: number, delta: Json, finish: string | null): Json => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  choices: [{ index, delta, logprobs: null, finish_reason: finish }],
});

/** Several choices take turns. */
const chat: Dialect = {
  form: "chat",
  events(texts) {
    const longest = Math.max(...texts.map((pieces) => pieces.length));
    const events: (Json | string)[] = texts.map((_, index) => chatChoice(index, { role: "assistant" }, null));
    for (let turn = 0; turn < longest; turn++) {
      texts.forEach((pieces, index) => {
        const piece = pieces[turn];
        if (piece === undefined) return;
        events.push(
          chatChoice(index, turn % 3 === 1 ? { role: "assistant", content: piece } : { content: piece }, null),
        );
      });
    }
    return [...events, ...texts.map((_, index) => chatChoice(index, {}, "stop")), "[DONE]"];
  },
  whole: (texts) => ({
    choices: texts.map((content, index) => ({ index, message: { role: "assistant", content }, finish_reason: "stop" })),
  }),
  piece(event) {
    const [choice] = listOf(event.choices);
    const content = (choice?.delta as Json | undefined)?.content;
    return typeof content === "string" ? { text: choice?.index as number, piece: content } : undefined;
  },
  wholes: (event) =>
    listOf(event.choices).flatMap(({ message }) =>
      message === undefined ? [] : [(message as Json).content as string],
    ),
  ends: (event) => listOf(event.choices).find((choice) => choice.finish_reason === "stop")?.index as number | undefined,
};

const responseItem = (text: string): Json => ({
  type: "message",
  id: "msg_1",
  role: "assistant",
  content: [{ type: "output_text", text, annotations: [] }],
});

const responses: Dialect = {
  form: "responses",
  events(texts) {
    const events: Json[] = [{ type: "response.created", response: { output: [], usage: null } }];
    texts.forEach((pieces, output_index) => {
      const place = { item_id: "msg_1", output_index, content_index: 0 };
      const text = pieces.join("");
      events.push({ type: "response.output_item.added", output_index, item: { type: "message", content: [] } });
      events.push({ type: "response.content_part.added", ...place, part: { type: "output_text", text: "" } });
      for (const delta of pieces) events.push({ type: "response.output_text.delta", ...place, delta, logprobs: [] });
      events.push({ type: "response.output_text.done", ...place, text });
      events.push({ type: "response.content_part.done", ...place, part: { type: "output_text", text } });
      events.push({ type: "response.output_item.done", output_index, item: responseItem(text) });
    });
    const output = texts.map((pieces) => responseItem(pieces.join("")));
    return [...events, { type: "response.completed", response: { output, usage: { output_tokens: 1 } } }];
  },
  whole: (texts) => ({ object: "response", output: texts.map(responseItem), tools: [{ text: "<think>a</think>" }] }),
  piece: (event) =>
    event.type === "response.output_text.delta"
      ? { text: event.output_index as number, piece: event.delta as string }
      : undefined,
  wholes(event) {
    const response = (event.response ?? event) as Json;
    const items = [...listOf(response.output), ...(event.item === undefined ? [] : [event.item as Json])];
    const parts = [
      ...items.flatMap((item) => listOf(item.content)),
      ...(event.part === undefined ? [] : [event.part as Json]),
    ];
    const own = event.type === "response.output_text.done" ? [event.text as string] : [];
    return event.type === "response.content_part.added" ? [] : [...own, ...parts.map((part) => part.text as string)];
  },
  ends: (event) => (event.type === "response.output_text.done" ? (event.output_index as number) : undefined),
};

const messages: Dialect = {
  form: "messages",
  events(texts) {
    const events: Json[] = [{ type: "message_start", message: { content: [], usage: { input_tokens: 1 } } }];
    texts.forEach((pieces, index) => {
      events.push({ type: "content_block_start", index, content_block: { type: "text", text: "" } });
      for (const text of pieces)
        events.push({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
      events.push({ type: "content_block_stop", index });
    });
    return [...events, { type: "message_delta", delta: { stop_reason: "end_turn" } }, { type: "message_stop" }];
  },
  whole: (texts) => ({
    content: [{ type: "thinking", thinking: "<think>" }, ...texts.map((text) => ({ type: "text", text }))],
  }),
  piece: (event) =>
    event.type === "content_block_delta"
      ? { text: event.index as number, piece: (event.delta as Json).text as string }
      : undefined,
  wholes: (event) => listOf(event.content).flatMap(({ type, text }) => (type === "text" ? [text as string] : [])),
  ends: (event) => (event.type === "content_block_stop" ? (event.index as number) : undefined),
};

/** Pieces do not say to which text they belong: they follow its start. */
const nativeChat: Dialect = {
  form: "native-chat",
  events(texts) {
    const events: Json[] = [{ type: "chat.start", model_instance_id: "m" }];
    for (const pieces of texts) {
      events.push({ type: "message.start" });
      for (const content of pieces) events.push({ type: "message.delta", content });
      events.push({ type: "message.end" });
    }
    const output = texts.map((pieces) => ({ type: "message", content: pieces.join("") }));
    return [...events, { type: "chat.end", result: { output, stats: { total_output_tokens: 1 } } }];
  },
  whole: (texts) => ({
    output: [{ type: "reasoning", content: "<think>" }, ...texts.map((content) => ({ type: "message", content }))],
  }),
  piece: (event) => (event.type === "message.delta" ? { text: -1, piece: event.content as string } : undefined),
  wholes: (event) =>
    listOf(((event.result ?? event) as Json).output).flatMap(({ type, content }) =>
      type === "message" ? [content as string] : [],
    ),
  ends: (event) => (event.type === "message.end" ? -1 : undefined),
};

export const dialects: readonly Dialect[] = [chat, responses, messages, nativeChat];

export interface Printing {
  readonly end: "\n" | "\r\n";
  readonly blank: "" | " ";
  /** `<` is printed as an escape: as itself, or like this. */
  readonly lessThan: "<" | "\\u003c" | "\\u003C";
  readonly names: boolean;
  /** JSON over two data lines. */
  readonly twoLines: boolean;
  readonly comments: boolean;
}

export const plainPrinting: Printing = {
  end: "\n",
  blank: " ",
  lessThan: "<",
  names: false,
  twoLines: false,
  comments: false,
};

export const anyPrinting: fc.Arbitrary<Printing> = fc.record({
  end: fc.constantFrom("\n", "\r\n"),
  blank: fc.constantFrom("", " "),
  lessThan: fc.constantFrom("<", "<", "\\u003c", "\\u003C"),
  names: fc.boolean(),
  twoLines: fc.boolean(),
  comments: fc.boolean(),
});

/** Bytes of a stream; a comment and an event without data may stand between the events. */
export function printed(events: readonly (Json | string)[], printing: Printing = plainPrinting): Buffer {
  const { end, blank } = printing;
  const lines = events.flatMap((event, index) => {
    const json = (typeof event === "string" ? event : JSON.stringify(event)).replaceAll("<", printing.lessThan);
    const name = printing.names && typeof event !== "string" ? [`event:${blank}${event.type as string}`] : [];
    const split = printing.twoLines ? json.indexOf(",") + 1 : 0;
    const data = split > 0 ? [json.slice(0, split), json.slice(split)] : [json];
    const extra = printing.comments && index % 3 === 0 ? [": still here", "id: 7", ""] : [];
    return [...extra, ...name, ...data.map((part) => `data:${blank}${part}`), ""];
  });
  return Buffer.from(lines.map((line) => line + end).join(""));
}

/** What a client makes of a stream. */
export function read(bytes: Buffer): (Json | string)[] {
  const events: (Json | string)[] = [];
  const parser = createParser({
    onEvent: ({ data }) => events.push(data === "[DONE]" ? data : (JSON.parse(data) as Json)),
  });
  parser.feed(bytes.toString());
  return events;
}

export interface Texts {
  readonly grown: string[];
  readonly wholes: string[];
  /** A piece came behind the end of its text. */
  readonly late: boolean;
}

export function textsOf(dialect: Dialect, events: readonly (Json | string)[], count: number): Texts {
  const grown = Array.from({ length: count }, () => "");
  const wholes: string[] = [];
  const ended = new Set<number>();
  let late = false;
  for (const event of events) {
    if (typeof event === "string") continue;
    const piece = dialect.piece(event);
    if (piece !== undefined) {
      const text = piece.text < 0 ? ended.size : piece.text;
      late ||= ended.has(text);
      grown[text] += piece.piece;
    }
    wholes.push(...dialect.wholes(event));
    const end = dialect.ends(event);
    if (end !== undefined) ended.add(end < 0 ? ended.size : end);
  }
  return { grown, wholes, late };
}
