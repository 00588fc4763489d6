/** `/v1/responses`: the endpoint that Codex uses. */
import * as z from "zod";
import { type Dialect, errorWords, lastWord } from "./dialect.ts";

const item = z.object({
  type: z.string(),
  content: z.array(z.object({ text: z.string().nullish() })).nullish(),
  call_id: z.string().nullish(),
  name: z.string().nullish(),
  arguments: z.string().nullish(),
});
const document = z.object({
  model: z.string().nullish(),
  status: z.string().nullish(),
  output: z.array(item),
  usage: z
    .object({
      input_tokens: z.number().nullish(),
      output_tokens: z.number().nullish(),
      output_tokens_details: z.object({ reasoning_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
});
const ending = z.object({
  type: z.templateLiteral(["response.", z.enum(["completed", "incomplete", "failed"])]),
  response: z.unknown(),
});
const token = z.object({
  type: z.templateLiteral([
    "response.",
    z.enum([
      "output_text.delta",
      "reasoning_text.delta",
      "function_call_arguments.delta",
      "function_call_arguments.done",
    ]),
  ]),
});

export const responses: Dialect = {
  path: "/v1/responses",
  optional: false,
  body: ({ model, prompt, tokens, stream, switchOff }) => ({
    model,
    input: prompt,
    max_output_tokens: tokens,
    store: false,
    ...(stream ? { stream } : {}),
    ...(switchOff ? { reasoning: { effort: "none" } } : {}),
  }),
  read: (answer) => {
    const { data } = document.safeParse(answer);
    if (data === undefined || errorWords(answer) !== null) return null;
    const { output, usage } = data;
    const textOf = (type: string) =>
      output
        .filter((one) => one.type === type)
        .flatMap(({ content }) => content ?? [])
        .map(({ text }) => text ?? "")
        .join("");
    return {
      model: data.model ?? "",
      text: textOf("message"),
      reasoning: textOf("reasoning"),
      reasoningTokens: usage?.output_tokens_details?.reasoning_tokens ?? null,
      inputTokens: usage?.input_tokens ?? null,
      outputTokens: usage?.output_tokens ?? null,
      cutShort: data.status === "incomplete",
      calls: output
        .filter(({ type }) => type === "function_call")
        .map((one) => ({ id: one.call_id ?? "", name: one.name ?? "", arguments: one.arguments ?? "" })),
    };
  },
  fold: (events) => lastWord(events, (event) => ending.safeParse(event).data?.response),
  isToken: (event) => token.safeParse(event).success,
};
