import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { key, model, type Place, startPlace } from "./place.ts";

let place: Place;
let client: OpenAI;

beforeAll(async () => {
  place = await startPlace({ heartbeatSeconds: 0.05 });
  client = new OpenAI({ baseURL: place.baseUrl, apiKey: key, maxRetries: 0 });
});
afterAll(async () => await place?.[Symbol.asyncDispose]());

const messages = (content: string) => [{ role: "user" as const, content }];
const weather = { name: "weather", description: "of a city", parameters: { type: "object", properties: {} } };

describe("the openai package, chat", () => {
  it("has whole answers and streams, without a thought", async () => {
    const whole = await client.chat.completions.create({ model, messages: messages("hello") });
    expect(whole.choices[0]?.message.content).toBe("You said: hello");
    expect(place.lastReasoning()).toBe(0);
    let text = "";
    for await (const part of await client.chat.completions.create({ model, messages: messages("hello"), stream: true }))
      text += part.choices[0]?.delta.content ?? "";
    expect(text).toBe("You said: hello");
    expect(place.lastReasoning()).toBe(0);
  });

  it("calls tools, streamed or not", async () => {
    const tools = [{ type: "function" as const, function: weather }];
    const asked = { model, messages: messages("weather?"), tools, tool_choice: "required" as const };
    const whole = await client.chat.completions.create(asked);
    expect(whole.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "weather", arguments: "{}" } });
    const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "weather" } });
  });

  it("forces one of several tools, and says things to the system where it likes", async () => {
    const tools = ["clock", "weather"].map((name) => ({ type: "function" as const, function: { ...weather, name } }));
    const system = (content: string) => ({ role: "developer" as const, content });
    const { choices } = await client.chat.completions.create({
      model,
      messages: [system("be brief"), ...messages("weather?"), system("be kind")],
      tools,
      tool_choice: { type: "function", function: { name: "weather" } },
    });
    expect(choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "weather" } });
  });

  it("is kept awake by heartbeats in a long prompt, which change nothing of the answer", async () => {
    const stream = client.chat.completions.stream({ model, messages: messages("sim:prefill=400 hello") });
    const chunks: unknown[] = [];
    stream.on("chunk", (chunk) => chunks.push(chunk));
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe("You said: sim:prefill=400 hello");
    expect(chunks.length).toBeGreaterThan(6);
  });

  it("stops the generation when it is aborted", async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: messages("sim:tokens=100000 sim:pace=5"),
      stream: true,
    });
    for await (const _ of stream) break;
    stream.controller.abort();
    await place.cancelled();
  });

  it("knows the errors by their kind", async () => {
    const stranger = new OpenAI({ baseURL: place.baseUrl, apiKey: "sk-wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const nonsense = client.chat.completions.create({ model, messages: "no list" as unknown as [] });
    await expect(nonsense).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(client.get("/nowhere")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it("lists the models and their aliases, and may think by alias", async () => {
    const ids = (await client.models.list()).data.map(({ id }) => id);
    expect(ids).toContain(`${model}:think`);
    await client.chat.completions.create({ model: `${model}:think`, messages: messages("hello") });
    expect(place.lastReasoning()).toBeGreaterThan(0);
  });
});

describe("the openai package, responses", () => {
  it("has whole answers and streams, without a thought", async () => {
    const whole = await client.responses.create({ model, input: "hello" });
    expect(whole.output_text).toBe("You said: hello");
    expect(whole.usage?.output_tokens_details.reasoning_tokens).toBe(0);
    let text = "";
    for await (const event of await client.responses.create({ model, input: "hello", stream: true }))
      if (event.type === "response.output_text.delta") text += event.delta;
    expect(text).toBe("You said: hello");
  });

  it("follows a stream strictly although heartbeats come first", async () => {
    const stream = client.responses.stream({ model, input: "sim:prefill=400 hello" });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types.filter((type) => type === "response.in_progress").length).toBeGreaterThan(3);
    expect((await stream.finalResponse()).output_text).toBe("You said: sim:prefill=400 hello");
  });

  it("calls tools", async () => {
    const tools = [{ type: "function" as const, strict: false, ...weather }];
    const { output } = await client.responses.create({ model, input: "weather?", tools, tool_choice: "required" });
    expect(output.find(({ type }) => type === "function_call")).toMatchObject({ name: "weather", arguments: "{}" });
  });
});
