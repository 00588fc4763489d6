import { afterAll, beforeAll, expect, test } from "vitest";
import { type SimServer, startSimServer } from "../../lmstudio-sim/index.ts";
import { fetchSmolLm } from "../../lmstudio-sim/smollm.ts";

let sim: SimServer;
beforeAll(async () => {
  sim = await startSimServer({ models: [{ id: "smol", gguf: await fetchSmolLm(), contextLength: 2048, parallel: 2 }] });
}, 300_000);
afterAll(() => sim.close());

const ask = (body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`${sim.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "smol", ...body }),
    ...(signal === undefined ? {} : { signal }),
  });

test("a real GGUF answers with real tokens, two requests at a time", async () => {
  const [one, two] = await Promise.all([
    ask({ input: "What is the capital of France?", max_output_tokens: 24 }),
    ask({ input: "Say hello.", max_output_tokens: 8 }),
  ]);
  expect(JSON.stringify(await one.json())).toContain("Paris");
  const second = (await two.json()) as { usage: { output_tokens: number } };
  expect(second).toMatchObject({ usage: { output_tokens_details: { reasoning_tokens: 0 } } });
  expect(second.usage.output_tokens).toBeGreaterThan(1);
});

test("a client that goes away stops the model, and the next answer still comes", async () => {
  const gone = new AbortController();
  const response = await ask({ input: "Write a long story about a cat.", stream: true }, gone.signal);
  await response.body?.getReader().read();
  gone.abort();
  await sim.waitFor((entry) => entry.event === "cancel");
  expect((await ask({ input: "Say hello.", max_output_tokens: 4 })).status).toBe(200);
});
