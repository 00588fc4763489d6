import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { proveEndpoint } from "../../../../infra/proxy/endpoint-proof.ts";

let server: Server | undefined;
afterEach(() => new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve())));

const seen: { authorization: string | undefined; body: { model: string } }[] = [];
async function serve(status: number, answer: object): Promise<string> {
  seen.length = 0;
  server = createServer(async (request, response) => {
    seen.push({ authorization: request.headers.authorization, body: JSON.parse(await text(request)) });
    response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

const models = [{ id: "m", thinking: "off" }] as const;
const answer = (reasoning: number) => ({
  output: [{ type: "message", content: [{ type: "output_text", text: "ready" }] }],
  usage: { output_tokens_details: { reasoning_tokens: reasoning } },
});

test("an endpoint that answers without thinking is proved, with the client's key", async () => {
  const baseUrl = await serve(200, answer(0));
  expect(await proveEndpoint({ baseUrl, models, key: "k" })).toMatchObject({ ok: true, reached: true });
  expect(seen).toMatchObject([{ authorization: "Bearer k", body: { model: "m" } }]);
});

test("a model that thinks although it must not fails the proof", async () => {
  const baseUrl = await serve(200, answer(3));
  const result = await proveEndpoint({ baseUrl, models });
  expect(result.ok).toBe(false);
  expect(result.words).toMatch(/m thinks \(3 reasoning tokens\)/);
  expect((await proveEndpoint({ baseUrl, models: [{ id: "m", thinking: "on" }] })).ok).toBe(true);
});

test("a refusal is told with its status and message", async () => {
  const baseUrl = await serve(401, { error: { message: "This key is not known here." } });
  expect((await proveEndpoint({ baseUrl, models })).words).toMatch(/answered 401 for m: This key is not known here/);
});

test("an endpoint that cannot be reached from here is said in words and is no failure", async () => {
  const baseUrl = await serve(200, {});
  await new Promise<void>((resolve) => server?.close(() => resolve()));
  server = undefined;
  expect(await proveEndpoint({ baseUrl, models })).toMatchObject({
    ok: true,
    reached: false,
    words: expect.stringContaining("could not be reached"),
  });
});

test("a key that fetch refuses is not told", async () => {
  const result = await proveEndpoint({ baseUrl: "http://127.0.0.1:9/v1", models, key: "planted\nkey" });
  expect(JSON.stringify(result)).not.toContain("planted");
});

test.each([
  ["an error", { error: { message: "no slot" } }, /answered 200 for m: no slot/],
  ["nothing", {}, /without any text/],
  ["an empty message", { output: [{ type: "message", content: [{ type: "output_text", text: " " }] }] }, /without any/],
  ["reasoning alone", { output: [{ type: "reasoning", content: [{ text: "hm" }] }] }, /without any text/],
])("a status of 200 that carries %s proves nothing", async (_, body, words) => {
  const result = await proveEndpoint({ baseUrl: await serve(200, body), models: [{ id: "m", thinking: "on" }] });
  expect(result).toMatchObject({ ok: false, words: expect.stringMatching(words) });
});
