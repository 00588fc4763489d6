/** `/v1/messages`, since 0.4.1. It does not count reasoning tokens: there, thoughts that came are what shows. */
import * as z from "zod";
import { type Dialect, errorWords } from "./dialect.ts";

const block = z.object({ type: z.string(), text: z.string().nullish(), thinking: z.string().nullish() });
const usage = z.object({ input_tokens: z.number().nullish(), output_tokens: z.number().nullish() });
const document = z.object({
  model: z.string().nullish(),
  content: z.array(block),
  stop_reason: z.string().nullish(),
  usage: usage.nullish(),
});
const start = z.object({
  type: z.literal("message_start"),
  message: z.object({ model: z.string().nullish(), usage: usage.nullish() }),
});
const delta = z.object({
  type: z.literal("content_block_delta"),
  delta: z.object({ text: z.string().nullish(), thinking: z.string().nullish() }),
});
const end = z.object({
  type: z.literal("message_delta"),
  delta: z.object({ stop_reason: z.string().nullish() }),
  usage: usage.nullish(),
});

const joined = (parts: readonly (string | null | undefined)[]) => parts.map((part) => part ?? "").join("");

export const messages: Dialect = {
  path: "/v1/messages",
  optional: true,
  body: ({ model, prompt, tokens, stream, switchOff }) => ({
    model,
    messages: [{ role: "user", content: prompt }],
    max_tokens: tokens,
    ...(stream ? { stream } : {}),
    ...(switchOff ? { thinking: { type: "disabled" } } : {}),
  }),
  read: (answer) => {
    const { data } = document.safeParse(answer);
    if (data === undefined) return null;
    return {
      model: data.model ?? "",
      text: joined(data.content.map(({ text }) => text)),
      reasoning: joined(data.content.map(({ thinking }) => thinking)),
      reasoningTokens: null,
      inputTokens: data.usage?.input_tokens ?? null,
      outputTokens: data.usage?.output_tokens ?? null,
      cutShort: data.stop_reason === "max_tokens",
      calls: [],
    };
  },
  fold: (events) => {
    const failed = events.find((event) => errorWords(event) !== null);
    if (failed !== undefined) return failed;
    const head = events.flatMap((event) => start.safeParse(event).data ?? [])[0]?.message;
    const last = events.flatMap((event) => end.safeParse(event).data ?? []).at(-1);
    if (head === undefined || last === undefined) return null;
    const deltas = events.flatMap((event) => delta.safeParse(event).data?.delta ?? []);
    return {
      model: head.model,
      content: [
        { type: "thinking", thinking: joined(deltas.map(({ thinking }) => thinking)) },
        { type: "text", text: joined(deltas.map(({ text }) => text)) },
      ],
      stop_reason: last.delta.stop_reason,
      usage: { ...head.usage, ...last.usage },
    };
  },
  isToken: (event) => delta.safeParse(event).success,
};
