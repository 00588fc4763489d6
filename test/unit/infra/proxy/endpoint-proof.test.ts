import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { proveEndpoint } from "../../../../infra/proxy/endpoint-proof.ts";
import { proofFigures } from "../../../../infra/proxy/proof-figures.ts";
import { startSimServer } from "../../../lmstudio-sim/sim-server.ts";
import { proxyKey } from "../../proxy/access/keys.ts";
import { startTestProxy } from "../../proxy/harness.ts";

const models = [{ id: "m", thinking: "off", contextLength: 4096 }] as const;
const played = { id: "m", contextLength: 4096, thinkTokens: 20, tokenMs: 1 };
const key = "sk-of-a-client";

test("an endpoint is proved from here with the client's key: words and figures, and what was asked goes through the proxy", async () => {
  await using lmstudio = await startSimServer({ models: [played] });
  await using proxy = await startTestProxy({ upstream: lmstudio.url, keys: [proxyKey("team-a", {}, key)] });
  const baseUrl = `http://127.0.0.1:${proxy.port}/v1`;
  const result = await proveEndpoint({ baseUrl, models, key });
  expect(result).toMatchObject({ ok: true, reached: true, proofs: [{ id: "m", ok: true }] });
  expect(result.words).toMatch(/answers for m: [\d.]+ tokens\/s, first token after \d+ ms, prompt of \d+ tokens taken/);

  const figures = proofFigures(JSON.stringify({ ok: true, changed: [], observed: { proofs: result.proofs } }));
  expect(figures.m).toMatchObject({ contextAccepted: expect.any(Number), notes: [] });
  expect(figures.m?.strategies).toEqual({
    "/v1/responses": "effort",
    "/v1/chat/completions": "effort",
    "/v1/messages": "thinking",
    "/api/v1/chat": "reasoning",
  });
  expect(proofFigures('{"ok":true,"observed":{"proofs":[{"id":"m","endpoint":"/v1/responses"}]}}')).toEqual({});

  const refused = await proveEndpoint({ baseUrl, models, key: "sk-wrong" });
  expect(refused).toMatchObject({ ok: false, reached: true, words: expect.stringMatching(/status 401/) });
  expect(refused.words).not.toContain("sk-wrong");
});

test("a model that thinks although it must not fails the proof, and may where the spec lets it", async () => {
  await using lmstudio = await startSimServer({ models: [played], thinksAnyway: true });
  const baseUrl = `${lmstudio.url}/v1`;
  const result = await proveEndpoint({ baseUrl, models });
  expect(result).toMatchObject({ ok: false, words: expect.stringMatching(/it thought: \d+ reasoning tokens/) });
  expect((await proveEndpoint({ baseUrl, models: [{ id: "m", thinking: "on" }] })).ok).toBe(true);
});

test("an endpoint that cannot be reached from here is said in words and is no failure", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  expect(await proveEndpoint({ baseUrl: `http://127.0.0.1:${port}/v1`, models })).toMatchObject({
    ok: true,
    reached: false,
    words: expect.stringContaining("could not be reached"),
  });
});

test("a key that fetch refuses is not told", async () => {
  const result = await proveEndpoint({ baseUrl: "http://127.0.0.1:9/v1", models, key: "planted\nkey" });
  expect(JSON.stringify(result)).not.toContain("planted");
});
