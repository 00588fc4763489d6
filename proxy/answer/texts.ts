/** Where each dialect keeps an answer's text: in the events of a stream and in a whole answer. */
import type { AnswerForm } from "./form.ts";
import { isLiteral, isText, Literal, Outline, type Value } from "./outline.ts";

/** What an event does to the texts of an answer. A channel is one text that grows; it is named by a number. */
export interface TextSink {
  open(channel: number): void;
  grow(channel: number, text: Literal): void;
  /** The channels from `first` up to, not including, `behind` are complete. */
  close(first: number, behind: number): void;
  /** A whole text, which no event will add to. */
  whole(text: Literal): void;
}

/** One event: its JSON, and where its name lies for those that do not say their type inside. */
export interface EventText {
  readonly bytes: Buffer;
  readonly outline: Outline;
  readonly nameStart: number;
  readonly nameEnd: number;
}

/** Tells the sink what the event does; true when the event is good for nothing once its text is gone. */
type ReadEvent = (event: EventText, sink: TextSink) => boolean;

const all = Number.POSITIVE_INFINITY;
/** More parts than an output item ever has. */
const partsPerItem = 65_536;

const readers: { readonly [Form in AnswerForm]: ReadEvent } = {
  responses(event, sink) {
    const { outline } = event;
    if (isType(event, "response.output_text.delta")) {
      if (outline.delta instanceof Literal) sink.grow(partOf(outline), outline.delta);
      return true;
    }
    const part = partOf(outline);
    if (isType(event, "response.content_part.added")) sink.open(part);
    else if (isType(event, "response.output_text.done")) {
      sink.close(part, part + 1);
      if (outline.text instanceof Literal) sink.whole(outline.text);
    } else if (isType(event, "response.content_part.done")) sink.close(part, part + 1);
    else if (isType(event, "response.output_item.done")) sink.close(part, part + partsPerItem);
    else if (outline.response instanceof Outline && !isBeginning(event)) sink.close(0, all);
    const whole = (text: Literal) => sink.whole(text);
    wholePart(event.bytes, outline.part, whole);
    wholeItem(event.bytes, outline.item, whole);
    if (outline.response instanceof Outline) wholeAnswers.responses(event.bytes, outline.response, whole);
    return false;
  },

  chat({ outline }, sink) {
    let onlyText = true;
    const choices = listOf(outline.choices);
    for (const choice of choices) {
      const { delta, index } = choice;
      const channel = numberOf(index);
      if (delta instanceof Outline && delta.content instanceof Literal) sink.grow(channel, delta.content);
      if (choice.finish_reason instanceof Literal) sink.close(channel, channel + 1);
      onlyText &&= delta instanceof Outline && !delta.others && !(choice.finish_reason instanceof Literal);
    }
    return onlyText && choices.length === 1 && !(outline.usage instanceof Outline);
  },

  messages(event, sink) {
    const { outline } = event;
    const block = numberOf(outline.index);
    if (isType(event, "content_block_delta")) {
      const { delta } = outline;
      if (!(delta instanceof Outline) || !(delta.text instanceof Literal)) return false;
      if (!isLiteral(event.bytes, delta.type, "text_delta")) return false;
      sink.grow(block, delta.text);
      return true;
    }
    if (isType(event, "content_block_start")) {
      sink.open(block);
      const { content_block } = outline;
      if (!(content_block instanceof Outline) || !(content_block.text instanceof Literal)) return false;
      if (isLiteral(event.bytes, content_block.type, "text")) sink.grow(block, content_block.text);
    } else if (isType(event, "content_block_stop")) sink.close(block, block + 1);
    else if (isType(event, "message_stop")) sink.close(0, all);
    return false;
  },

  "native-chat"(event, sink) {
    const { outline } = event;
    if (isType(event, "message.delta")) {
      if (outline.content instanceof Literal) sink.grow(0, outline.content);
      return true;
    }
    if (isType(event, "message.start")) sink.open(0);
    else if (isType(event, "message.end")) sink.close(0, all);
    else if (outline.result instanceof Outline) {
      sink.close(0, all);
      wholeAnswers["native-chat"](event.bytes, outline.result, (text) => sink.whole(text));
    }
    return false;
  },

  completions: () => false,
};

/** An answer that is not streamed. */
type ReadWhole = (bytes: Buffer, answer: Outline, whole: (text: Literal) => void) => void;

const wholeAnswers: { readonly [Form in AnswerForm]: ReadWhole } = {
  responses(bytes, answer, whole) {
    for (const item of listOf(answer.output)) wholeItem(bytes, item, whole);
  },

  chat(_bytes, answer, whole) {
    for (const { message } of listOf(answer.choices)) {
      if (message instanceof Outline && message.content instanceof Literal) whole(message.content);
    }
  },

  messages(bytes, answer, whole) {
    for (const block of listOf(answer.content)) {
      if (block.text instanceof Literal && isLiteral(bytes, block.type, "text")) whole(block.text);
    }
  },

  "native-chat"(bytes, answer, whole) {
    for (const item of listOf(answer.output)) {
      if (item.content instanceof Literal && isLiteral(bytes, item.type, "message")) whole(item.content);
    }
  },

  completions: () => {},
};

export const eventReader = (form: AnswerForm): ReadEvent => readers[form];
export const wholeReader = (form: AnswerForm): ReadWhole => wholeAnswers[form];

function wholeItem(bytes: Buffer, item: Value | undefined, whole: (text: Literal) => void): void {
  if (!(item instanceof Outline) || !isLiteral(bytes, item.type, "message")) return;
  for (const part of listOf(item.content)) wholePart(bytes, part, whole);
}

function wholePart(bytes: Buffer, part: Value | undefined, whole: (text: Literal) => void): void {
  if (!(part instanceof Outline) || !(part.text instanceof Literal)) return;
  if (isLiteral(bytes, part.type, "output_text")) whole(part.text);
}

function isType({ bytes, outline, nameStart, nameEnd }: EventText, type: string): boolean {
  return outline.type === undefined ? isText(bytes, nameStart, nameEnd, type) : isLiteral(bytes, outline.type, type);
}

/** The events that bring the response before anything of it was said. */
const isBeginning = (event: EventText): boolean =>
  isType(event, "response.created") || isType(event, "response.in_progress") || isType(event, "response.queued");

const partOf = (outline: Outline): number =>
  numberOf(outline.output_index) * partsPerItem + numberOf(outline.content_index);

const numberOf = (value: Value | undefined): number => (typeof value === "number" ? value : 0);

const listOf = (value: Value | undefined): readonly Outline[] =>
  Array.isArray(value) ? value.filter((entry): entry is Outline => entry instanceof Outline) : [];
