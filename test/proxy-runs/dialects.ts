/** The endpoints as clients use them: a request, the answer that LM Studio would give, and how a failure has to look there. */
import { type Fields, fieldOf } from "./message.ts";

export interface Endpoint {
  readonly path: string;
  readonly streams: boolean;
  /** Members of the request beside `model`, `stream` and the marker. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly document: (marker: string) => unknown;
  /** Events of a stream, each with its blank line; every one of them names the marker. */
  readonly events: (marker: string) => readonly string[];
  /** What ends a stream behind its events. */
  readonly done: string;
  readonly isError: (body: unknown) => boolean;
  /** Whether the last event of a stream is this dialect's failure. */
  readonly isFailure: (event: ReadEvent) => boolean;
}

export interface ReadEvent {
  readonly name: string | undefined;
  readonly data: string;
}

const words = ["Once", " upon", " a", " time", "."];
const named = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const plain = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;

const isText = (value: unknown) => typeof value === "string" && value !== "";
const errorOf = (body: unknown) =>
  (body as { error?: { message?: unknown; type?: unknown; code?: unknown } } | null)?.error;
const isOpenAiError = (body: unknown) => {
  const error = errorOf(body);
  return isText(error?.message) && isText(error?.type) && isText(error?.code);
};
const isAnthropicError = (body: unknown) =>
  (body as { type?: unknown } | null)?.type === "error" &&
  isText(errorOf(body)?.message) &&
  isText(errorOf(body)?.type);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const openAi = {
  done: "data: [DONE]\n\n",
  isError: isOpenAiError,
  isFailure: ({ data }: ReadEvent) => isOpenAiError(parsed(data)),
};

const messages = [{ role: "user", content: "Tell a story." }];
const chunk = (id: string, delta: unknown, finish: string | null = null) =>
  plain({ id, object: "chat.completion.chunk", model: "m", choices: [{ index: 0, delta, finish_reason: finish }] });

export const endpoints: readonly Endpoint[] = [
  {
    path: "/v1/responses",
    streams: true,
    done: "",
    request: { input: "Tell a story.", reasoning: { effort: "high" } },
    document: (id) => ({ id, object: "response", status: "completed", output: [{ type: "message", content: [] }] }),
    events: (id) => [
      named("response.created", { type: "response.created", response: { id, status: "in_progress" } }),
      ...words.map((delta) =>
        named("response.output_text.delta", { type: "response.output_text.delta", item_id: id, delta }),
      ),
      named("response.completed", { type: "response.completed", response: { id, status: "completed", output: [] } }),
    ],
    isError: isOpenAiError,
    isFailure: ({ name, data }) => {
      const event = parsed(data) as { type?: string; response?: { status?: string; error?: unknown } } | undefined;
      const { type, response } = event ?? {};
      const error = response?.error as { code?: unknown; message?: unknown } | undefined;
      if (name !== "response.failed" || type !== name || response?.status !== "failed") return false;
      return isText(error?.code) && isText(error?.message);
    },
  },
  {
    path: "/v1/chat/completions",
    streams: true,
    request: { messages },
    document: (id) => ({
      id,
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content: "Once", refusal: null } }],
    }),
    events: (id) => [...words.map((content) => chunk(id, { content })), chunk(id, {}, "stop")],
    ...openAi,
  },
  {
    path: "/v1/messages",
    streams: true,
    done: "",
    request: { messages, max_tokens: 100 },
    document: (id) => ({
      ...{ id, type: "message", role: "assistant", stop_details: null, container: null },
      content: [{ type: "text", text: "Once", citations: null }],
    }),
    events: (id) => [
      named("message_start", { type: "message_start", message: { id, role: "assistant", content: [] } }),
      ...words.map((text) =>
        named("content_block_delta", {
          type: "content_block_delta",
          index: 0,
          id,
          delta: { type: "text_delta", text },
        }),
      ),
      named("message_stop", { type: "message_stop", id }),
    ],
    isError: isAnthropicError,
    isFailure: ({ name, data }) => name === "error" && isAnthropicError(parsed(data)),
  },
  {
    path: "/api/v1/chat",
    streams: true,
    done: "",
    request: { input: "Tell a story." },
    document: (id) => ({ model_instance_id: "m", response_id: id, output: [{ type: "message", content: "Once" }] }),
    events: (id) => [
      named("chat.start", { type: "chat.start", model_instance_id: id }),
      ...words.map((content) => named("message.delta", { type: "message.delta", id, content })),
      named("chat.end", { type: "chat.end", result: { response_id: id, output: [] } }),
    ],
    isError: isOpenAiError,
    // LM Studio's own stream has an event for it; without a name it is the chat dialect's.
    isFailure: ({ name, data }) => (name === undefined || name === "error") && isText(errorOf(parsed(data))?.message),
  },
  {
    path: "/v1/completions",
    streams: true,
    request: { prompt: "Tell a story." },
    document: (id) => ({ id, object: "text_completion", choices: [{ index: 0, text: "Once" }] }),
    events: (id) => words.map((text) => plain({ id, object: "text_completion", choices: [{ index: 0, text }] })),
    ...openAi,
  },
  {
    path: "/v1/embeddings",
    streams: false,
    request: { input: "Tell a story." },
    document: (id) => ({ id, object: "list", data: [{ embedding: [0.5, 1.5] }] }),
    events: () => [],
    ...openAi,
  },
];

export interface RequestShape {
  readonly stream: boolean;
  readonly model?: string;
  /** Makes the body that much longer. */
  readonly filler?: number;
}

/** A whole request on the wire. */
export function requestBytes(
  endpoint: Endpoint,
  marker: string,
  { stream, model = "m", filler = 0 }: RequestShape,
): string {
  const members = { model, ...endpoint.request, user: marker, ...(stream ? { stream } : {}) };
  const body = JSON.stringify(filler === 0 ? members : { ...members, metadata: { filler: "x".repeat(filler) } });
  return `POST ${endpoint.path} HTTP/1.1\r\nHost: proxy\r\nContent-Type: application/json\r\nX-Run-Marker: ${marker}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export const markerOf = (fields: Fields): string => fieldOf(fields, "x-run-marker") ?? "";

/** Undefined when `text` is not a sequence of whole events. Comments are left out. */
export function readEvents(text: string): ReadEvent[] | undefined {
  if (text !== "" && !/(?:\n\n|\r\n\r\n)$/.test(text)) return undefined;
  return text
    .split(/\r?\n\r?\n/)
    .map((block) => block.split(/\r?\n/))
    .filter((lines) => lines.some((line) => line !== "" && !line.startsWith(":")))
    .map((lines) => {
      const of = (field: string) =>
        lines.filter((line) => line.startsWith(`${field}: `)).map((line) => line.slice(field.length + 2));
      return { name: of("event")[0], data: of("data").join("\n") };
    });
}
