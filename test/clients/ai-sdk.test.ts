import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, jsonSchema, streamText, type ToolSet, tool } from "ai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { key, model, type Place, startPlace } from "./place.ts";

let place: Place;
const provider = (apiKey: string) =>
  createOpenAICompatible({ name: "lmstack", baseURL: place.baseUrl, apiKey }).chatModel(model);

beforeAll(async () => {
  place = await startPlace({ heartbeatSeconds: 0.05 });
});
afterAll(async () => await place?.[Symbol.asyncDispose]());

it("the AI SDK has whole answers and streams, without a thought", async () => {
  expect((await generateText({ model: provider(key), prompt: "hello" })).text).toBe("You said: hello");
  expect(place.lastReasoning()).toBe(0);
  let text = "";
  for await (const part of streamText({ model: provider(key), prompt: "sim:prefill=200 hello" }).textStream)
    text += part;
  expect(text).toBe("You said: sim:prefill=200 hello");
  expect(place.lastReasoning()).toBe(0);
});

it("the AI SDK calls tools", async () => {
  const weather = tool({ inputSchema: jsonSchema<object>({ type: "object", properties: {} }) });
  const answer = await generateText({
    model: provider(key),
    prompt: "weather?",
    tools: { weather } as unknown as ToolSet,
    toolChoice: "required",
  });
  expect(answer.toolCalls[0]).toMatchObject({ toolName: "weather" });
});

it("the AI SDK stops the generation when it is aborted", async () => {
  const controller = new AbortController();
  const stream = streamText({
    model: provider(key),
    prompt: "sim:tokens=100000 sim:pace=5",
    abortSignal: controller.signal,
    onError: () => {},
  });
  for await (const _ of stream.textStream) break;
  controller.abort();
  await place.cancelled();
});

it("the AI SDK is told what was wrong", async () => {
  const wrong = generateText({ model: provider("sk-wrong"), prompt: "hello", maxRetries: 0 });
  const error = await wrong.catch((reason: unknown) => reason);
  expect(APICallError.isInstance(error) && error.statusCode).toBe(401);
  expect((error as Error).message).toMatch(/not known here/);
});
