import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { key, model, type Place, startPlace } from "./place.ts";

let place: Place;
let client: Anthropic;

beforeAll(async () => {
  place = await startPlace({ heartbeatSeconds: 0.05 });
  client = new Anthropic({ baseURL: place.baseUrl.replace(/\/v1$/, ""), apiKey: key, maxRetries: 0 });
});
afterAll(async () => await place?.[Symbol.asyncDispose]());

const ask = (content: string) => ({ model, max_tokens: 500, messages: [{ role: "user" as const, content }] });
const textOf = ({ content }: Anthropic.Message) =>
  content.map((part) => (part.type === "text" ? part.text : "")).join("");

it("the Anthropic package has whole answers and streams, without a thought, its key in x-api-key", async () => {
  expect(textOf(await client.messages.create(ask("hello")))).toBe("You said: hello");
  expect(place.lastReasoning()).toBe(0);
  expect(textOf(await client.messages.stream(ask("hello")).finalMessage())).toBe("You said: hello");
  expect(place.lastReasoning()).toBe(0);
});

it("the Anthropic package waits through a long prompt, pinged", async () => {
  const message = await client.messages.stream(ask("sim:prefill=300 hello")).finalMessage();
  expect(textOf(message)).toBe("You said: sim:prefill=300 hello");
});

it("the Anthropic package calls tools", async () => {
  const tools = [{ name: "weather", input_schema: { type: "object" as const, properties: {} } }];
  const request = { ...ask("weather?"), tools, tool_choice: { type: "tool" as const, name: "weather" } };
  for (const message of [await client.messages.create(request), await client.messages.stream(request).finalMessage()]) {
    expect(message.content.find(({ type }) => type === "tool_use")).toMatchObject({ name: "weather" });
  }
});

it("the Anthropic package may offer tools that Anthropic runs, and say things to the system among the messages, as Claude Code does", async () => {
  const search = { type: "web_search_20250305" as const, name: "web_search" as const };
  const { messages, ...rest } = ask("hello");
  const said = [...messages, { role: "system" as "user", content: "be brief" }];
  const request = { ...rest, system: [{ type: "text" as const, text: "be kind" }], messages: said, tools: [search] };
  const { data, response } = await client.messages.create(request).withResponse();
  expect(textOf(data)).toBe("You said: hello");
  expect(response.headers.get("x-lmstack-dropped-tools")).toBe("web_search_20250305:web_search");
});

it("the Anthropic package stops the generation when it is aborted", async () => {
  const stream = client.messages.stream({ ...ask("sim:tokens=100000 sim:pace=5"), max_tokens: 100_000 });
  for await (const event of stream) if (event.type === "content_block_delta") break;
  stream.abort();
  await place.cancelled();
});

it("the Anthropic package knows the errors by their kind", async () => {
  const stranger = new Anthropic({ baseURL: place.baseUrl.replace(/\/v1$/, ""), apiKey: "wrong", maxRetries: 0 });
  await expect(stranger.messages.create(ask("hello"))).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
  const nonsense = { ...ask("hello"), messages: "no list" as unknown as [] };
  await expect(client.messages.create(nonsense)).rejects.toBeInstanceOf(Anthropic.BadRequestError);
});
