/** What LM Studio's stand-in says: small answers in the form and of the size that LM Studio gives them. */
import { stamp } from "../wire/clock.ts";

const usage = { prompt_tokens: 12_000, completion_tokens: 2, total_tokens: 12_002 };

const documents: Readonly<Record<string, unknown>> = {
  "/v1/chat/completions": {
    id: "chatcmpl-1f0a9c3e5b7d2468ace0",
    object: "chat.completion",
    created: 1_790_000_000,
    model: "bench",
    choices: [{ index: 0, message: { role: "assistant", content: "Done." }, logprobs: null, finish_reason: "stop" }],
    usage,
    stats: {},
    system_fingerprint: "bench",
  },
  "/v1/responses": {
    id: "resp_1f0a9c3e5b7d2468ace013579bdf",
    object: "response",
    created_at: 1_790_000_000,
    status: "completed",
    model: "bench",
    output: [
      {
        id: "msg_1f0a9c3e5b7d2468ace013579bdf",
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Done.", annotations: [], logprobs: [] }],
      },
    ],
    usage: {
      input_tokens: 12_000,
      input_tokens_details: { cached_tokens: 11_000 },
      output_tokens: 2,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 12_002,
    },
    store: false,
    temperature: 0.7,
    tool_choice: "auto",
    tools: [],
  },
};

const models = ["bench", "bench-client", "bench-idle", "bench-one"];
const lists: Readonly<Record<string, unknown>> = {
  "/v1/models": { object: "list", data: models.map((id) => ({ id, object: "model", owned_by: "organization_owner" })) },
  "/api/v1/models": {
    models: models.map((id) => ({
      type: "llm",
      key: id,
      loaded_instances: [{ id, config: { context_length: 200_000, parallel: 100_000 } }],
      capabilities: { reasoning: { allowed_options: ["off", "on"], default: "on" } },
    })),
  },
};

function texts(bodies: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(bodies).map(([path, body]) => [path, JSON.stringify(body)]));
}

const answers = texts(documents);
const readAnswers = texts(lists);

/** The JSON text for a request; undefined for a path that nobody asks. All of it is ASCII. */
export function wholeAnswer(method: string, path: string): string | undefined {
  return (method === "POST" ? answers : readAnswers).get(path);
}

export const jsonType = "application/json; charset=utf-8";
export const streamFields = { "content-type": "text/event-stream", "cache-control": "no-cache" };

const [beforeToken, afterToken] = `data: ${JSON.stringify({
  id: "chatcmpl-1f0a9c3e5b7d2468ace0",
  object: "chat.completion.chunk",
  created: 1_790_000_000,
  model: "bench",
  system_fingerprint: "bench",
  choices: [{ index: 0, delta: { role: "assistant", content: "|" }, logprobs: null, finish_reason: null }],
})}\n\n`.split("|") as [string, string];

/** One token, written now, as one event. */
export function token(): string {
  return beforeToken + stamp() + afterToken;
}

export const lastEvents = `data: ${JSON.stringify({
  id: "chatcmpl-1f0a9c3e5b7d2468ace0",
  object: "chat.completion.chunk",
  created: 1_790_000_000,
  model: "bench",
  system_fingerprint: "bench",
  choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }],
})}\n\ndata: [DONE]\n\n`;
