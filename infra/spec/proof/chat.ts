/** `/v1/chat/completions`: what most clients use, and what the ancestor proved. */
import * as z from "zod";
import { type Dialect, errorWords } from "./dialect.ts";

/** `reasoning` is how older versions call it. */
const said = {
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  reasoning: z.string().nullish(),
};
const usage = z.object({
  prompt_tokens: z.number().nullish(),
  completion_tokens: z.number().nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: z.number().nullish() }).nullish(),
});
const document = z.object({
  model: z.string().nullish(),
  choices: z.tuple([z.object({ message: z.object(said), finish_reason: z.string().nullish() })], z.unknown()),
  usage: usage.nullish(),
});
const chunk = z.object({
  model: z.string().nullish(),
  choices: z.array(z.object({ delta: z.object(said).nullish(), finish_reason: z.string().nullish() })),
  usage: usage.nullish(),
});

export const chat: Dialect = {
  path: "/v1/chat/completions",
  optional: false,
  body: ({ model, prompt, tokens, stream, switchOff }) => ({
    model,
    messages: [{ role: "user", content: prompt }],
    max_tokens: tokens,
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    ...(switchOff ? { reasoning_effort: "none" } : {}),
  }),
  read: (answer) => {
    const { data } = document.safeParse(answer);
    if (data === undefined) return null;
    const [{ message, finish_reason }] = data.choices;
    return {
      model: data.model ?? "",
      text: message.content ?? "",
      reasoning: message.reasoning_content ?? message.reasoning ?? "",
      reasoningTokens: data.usage?.completion_tokens_details?.reasoning_tokens ?? null,
      inputTokens: data.usage?.prompt_tokens ?? null,
      outputTokens: data.usage?.completion_tokens ?? null,
      cutShort: finish_reason === "length",
      calls: [],
    };
  },
  fold: (events) => {
    const failed = events.find((event) => errorWords(event) !== null);
    if (failed !== undefined) return failed;
    const chunks = events.flatMap((event) => chunk.safeParse(event).data ?? []);
    const deltas = chunks.flatMap(({ choices }) => choices.slice(0, 1));
    // A stream that breaks off says nothing of how it ended.
    const finish_reason = deltas.findLast((one) => one.finish_reason)?.finish_reason;
    if (!finish_reason) return null;
    const joined = (key: keyof typeof said) => deltas.map(({ delta }) => delta?.[key] ?? "").join("");
    return {
      model: chunks.find(({ model }) => model)?.model,
      choices: [
        {
          message: {
            content: joined("content"),
            reasoning_content: joined("reasoning_content") || joined("reasoning"),
          },
          finish_reason,
        },
      ],
      usage: chunks.findLast((one) => one.usage)?.usage,
    };
  },
  isToken: (event) => {
    const delta = chunk.safeParse(event).data?.choices[0]?.delta;
    return Boolean(delta?.content || delta?.reasoning_content || delta?.reasoning);
  },
};
