import { expect, test } from "vitest";
import { startSimServer } from "../../lmstudio-sim/index.ts";
import { off } from "./served.ts";

test("a client that goes away stops the generation, and its slot is free again", async () => {
  await using slow = await startSimServer({ models: [{ id: "m", parallel: 1, tokenMs: 20, thinkTokens: 10_000 }] });
  const gone = new AbortController();
  const response = await fetch(`${slow.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "m", input: "hi", stream: true }),
    signal: gone.signal,
  });
  await response.body?.getReader().read();
  const waiting = fetch(`${slow.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model: "m", input: "hi", ...off }),
  });
  await slow.waitFor((entry) => entry.event === "request" && entry.id === 2);
  expect(slow.journal().filter((entry) => entry.event === "generate")).toHaveLength(1);
  gone.abort();
  expect(await slow.waitFor((entry) => entry.event === "cancel")).toMatchObject({ id: 1 });
  expect((await waiting).status).toBe(200);
});

test("a client that goes away before the first token cancels too", async () => {
  await using slow = await startSimServer({ models: [{ id: "m", prefillMs: 60_000 }] });
  const gone = new AbortController();
  const request = fetch(`${slow.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "m", messages: [] }),
    signal: gone.signal,
  }).catch(() => null);
  await slow.waitFor((entry) => entry.event === "generate");
  gone.abort();
  await slow.waitFor((entry) => entry.event === "cancel" && entry.tokens === 0);
  await request;
});
