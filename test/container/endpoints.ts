/** Every endpoint that has a switch for thinking, with a question in its own form. */
export interface Endpoint {
  readonly path: string;
  readonly question: (model: string, text: string) => Record<string, unknown>;
}

const messages = (text: string) => [{ role: "user", content: text }];

export const endpoints: readonly Endpoint[] = [
  { path: "/v1/responses", question: (model, text) => ({ model, input: text }) },
  { path: "/v1/chat/completions", question: (model, text) => ({ model, messages: messages(text) }) },
  { path: "/api/v0/chat/completions", question: (model, text) => ({ model, messages: messages(text) }) },
  { path: "/v1/messages", question: (model, text) => ({ model, max_tokens: 500, messages: messages(text) }) },
  { path: "/api/v1/chat", question: (model, text) => ({ model, input: text }) },
];
