/** `/api/v1/chat`, LM Studio's own, since 0.4.0. It tells which instance ran. */
import * as z from "zod";
import { type Dialect, lastWord } from "./dialect.ts";

const document = z.object({
  model_instance_id: z.string().nullish(),
  output: z.array(z.object({ type: z.string(), content: z.string().nullish() })),
  stats: z
    .object({
      input_tokens: z.number().nullish(),
      total_output_tokens: z.number().nullish(),
      reasoning_output_tokens: z.number().nullish(),
    })
    .nullish(),
});
const end = z.object({ type: z.literal("chat.end"), result: z.unknown() });
const delta = z.object({ type: z.enum(["message.delta", "reasoning.delta"]) });

export const nativeChat: Dialect = {
  path: "/api/v1/chat",
  optional: true,
  body: ({ model, prompt, tokens, stream, switchOff }) => ({
    model,
    input: prompt,
    max_output_tokens: tokens,
    store: false,
    ...(stream ? { stream } : {}),
    ...(switchOff ? { reasoning: "off" } : {}),
  }),
  read: (answer) => {
    const { data } = document.safeParse(answer);
    if (data === undefined) return null;
    const textOf = (type: string) =>
      data.output
        .filter((one) => one.type === type)
        .map(({ content }) => content ?? "")
        .join("");
    return {
      model: data.model_instance_id ?? "",
      text: textOf("message"),
      reasoning: textOf("reasoning"),
      reasoningTokens: data.stats?.reasoning_output_tokens ?? null,
      inputTokens: data.stats?.input_tokens ?? null,
      outputTokens: data.stats?.total_output_tokens ?? null,
      cutShort: false,
      calls: [],
    };
  },
  fold: (events) => lastWord(events, (event) => end.safeParse(event).data?.result),
  isToken: (event) => delta.safeParse(event).success,
};
