/** What a proof has to know of an endpoint: how it is asked, and where its answer keeps what is judged. Pure. */
import { createParser } from "eventsource-parser";
import type { Thinking } from "../host-documents.ts";

export interface Question {
  readonly model: string;
  readonly prompt: string;
  /** Most tokens of the answer. */
  readonly tokens: number;
  readonly stream: boolean;
  /** Sets LM Studio's own switch, as the proxy would: for a question that goes to LM Studio itself. */
  readonly switchOff: boolean;
}

export interface Call {
  readonly id: string;
  readonly name: string;
  /** As the model wrote them: JSON, if it did well. */
  readonly arguments: string;
}

/** What an answer says, whatever its form. Null stands for what the endpoint does not tell. */
export interface Spoken {
  /** Under which name the model answered. */
  readonly model: string;
  readonly text: string;
  /** Visible reasoning, wherever the answer carries it. */
  readonly reasoning: string;
  readonly reasoningTokens: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** It ended because the tokens it was given were used up. */
  readonly cutShort: boolean;
  readonly calls: readonly Call[];
}

export interface Dialect {
  /** Behind the address that serves `/v1` and `/api`. */
  readonly path: ProofPath;
  /** Endpoints that older versions of LM Studio do not have. */
  readonly optional: boolean;
  readonly body: (question: Question) => Readonly<Record<string, unknown>>;
  /** Null when it is not an answer of this endpoint. */
  readonly read: (answer: unknown) => Spoken | null;
  /** A stream's events put together to the answer that would have come without a stream. */
  readonly fold: (events: readonly unknown[]) => unknown;
  /** Whether an event brings something that the model said. */
  readonly isToken: (event: unknown) => boolean;
}

export type ProofPath = "/v1/responses" | "/v1/chat/completions" | "/v1/messages" | "/api/v1/chat";

export interface ProvedModel {
  readonly id: string;
  readonly thinking: Thinking;
  /** Tokens; absent where nothing is declared, and then nothing is shown of it. */
  readonly contextLength?: number;
}

/** A piece of an answer's body, with the milliseconds since the question was sent. */
export interface Chunk {
  readonly ms: number;
  readonly text: string;
}

export interface StreamEvent {
  readonly ms: number;
  readonly event: unknown;
}

/** Events whose data is not JSON, such as `[DONE]`, say nothing. */
export function streamEvents(chunks: readonly Chunk[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  let now = 0;
  const parser = createParser({
    onEvent: ({ data }) => {
      const event = parsed(data);
      if (event !== undefined) events.push({ ms: now, event });
    },
  });
  for (const { ms, text } of chunks) {
    now = ms;
    parser.feed(text);
  }
  return events;
}

/** Undefined for what is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The words of an error, in every form in which LM Studio and the proxy tell one: whole, with status 200, or in a stream. Null without one. */
export function errorWords(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return null;
  const { error, type, message } = value as Record<"error" | "type" | "message", unknown>;
  if (typeof error === "string") return error;
  if (typeof error === "object" && error !== null) {
    const inner = (error as { message?: unknown }).message;
    return typeof inner === "string" ? inner : JSON.stringify(error);
  }
  return type === "error" && typeof message === "string" ? message : null;
}

/** What a stream that ends with its whole answer came to: `wholeOf` an event, else the first event that tells of an error; null when it broke off. */
export function lastWord(events: readonly unknown[], wholeOf: (event: unknown) => unknown): unknown {
  for (const event of events) {
    const whole = wholeOf(event);
    if (whole !== undefined) return whole;
    if (errorWords(event) !== null) return event;
  }
  return null;
}
