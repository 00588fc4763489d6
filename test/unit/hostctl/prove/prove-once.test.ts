import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { proofFailure, proveOnce } from "../../../../hostctl/prove/prove-once.ts";
import type { ProvedModel } from "../../../../infra/spec/proof/dialect.ts";
import { LearnedFile } from "../../../../proxy/thinking/learned-file.ts";
import { StrategyMemory } from "../../../../proxy/thinking/memory.ts";
import { type SimServer, type SimServerOptions, startSimServer } from "../../../lmstudio-sim/sim-server.ts";
import { startTestProxy, type TestProxy } from "../../proxy/harness.ts";

const id = "alpha";
const model: ProvedModel = { id, thinking: "off", contextLength: 4096 };

interface Place extends AsyncDisposable {
  readonly lmstudio: SimServer;
  readonly proxy: TestProxy;
}

const scripted = { id, contextLength: 4096, thinkTokens: 20, tokenMs: 1 };

async function place({ models = [scripted], ...traps }: SimServerOptions = {}): Promise<Place> {
  const lmstudio = await startSimServer({ models, ...traps });
  const proxy = await startTestProxy({ upstream: lmstudio.url, models: { [id]: { thinking: "off" } } });
  const dispose = async () => {
    await proxy[Symbol.asyncDispose]();
    await lmstudio.close();
  };
  return { lmstudio, proxy, [Symbol.asyncDispose]: dispose };
}

const prove = ({ proxy }: Place, asked: ProvedModel = model) =>
  proveOnce({ host: "127.0.0.1", port: proxy.port }, asked, { depth: "full" });

describe("a proof through the proxy", () => {
  test("holds for a model as declared, with its pace and its whole context, in less than two seconds", async () => {
    await using there = await place();
    const proof = await prove(there);
    expect(proofFailure(proof)).toBeNull();
    expect(proof).toMatchObject({
      ok: true,
      findings: [],
      firstTokenMs: expect.any(Number),
      tokensPerSecond: expect.any(Number),
    });
    expect(proof.contextAccepted).toBeGreaterThan(3_800);
    expect(proof.strategies).toMatchObject({ "/v1/responses": "effort", "/v1/chat/completions": "effort" });
    expect(proof.milliseconds).toBeLessThan(2_000);
    const asked = there.lmstudio.journal().flatMap((entry) => (entry.event === "request" ? [entry.path] : []));
    for (const path of ["/v1/responses", "/v1/chat/completions", "/v1/messages", "/api/v1/chat"])
      expect(asked.filter((one) => one === path).length, path).toBeGreaterThanOrEqual(2);
    const results = there.lmstudio.bodies("/v1/responses").filter(({ input }) => Array.isArray(input));
    expect(results).toHaveLength(2);
  });

  test.each([
    [
      "that thinks whatever it is told",
      { thinksAnyway: true },
      /\/v1\/responses: it thought: .*\n.*asked: .*\n.*expected: .*thinking is off\n.*came: status 200/,
    ],
    ["that thinks on one endpoint only", { messagesThinkingOff: false }, /\/v1\/messages: it thought: .*/],
    ["whose prompts are cut", { promptCutAt: 2_000 }, /the prompt was cut: 2000 tokens of \d+ were taken in/],
    ["whose slots share the context", { tokensPerSlot: 2_048 }, /takes 2048 tokens instead of 4096/],
    ["that takes no tools", { toolTypes: ["mcp"] }, /\/v1\/responses: status 400: .*\n.*exec_command/],
  ] as const)("fails with the transcript for a model %s", async (_, traps, words) => {
    await using there = await place(traps);
    expect(proofFailure(await prove(there))).toMatchObject({
      code: "proof_failed",
      message: expect.stringMatching(words),
    });
  });

  test("fails for a model that is loaded with another context, and for one that is not there", async () => {
    await using there = await place({ models: [{ ...scripted, contextLength: 2_048 }] });
    const message = expect.stringContaining("loaded with context 2048 instead of 4096");
    expect(proofFailure(await prove(there))).toMatchObject({ message });
    const absent = { ...model, id: "beta" };
    const missing = expect.stringContaining("no loaded instance of that name");
    expect(proofFailure(await prove(there, absent))).toMatchObject({ message: missing });
  });

  test("says what cannot be shown, and fails for none of it", async () => {
    await using there = await place({ models: [{ ...scripted, tools: false }], messagesEndpoint: false });
    const proof = await prove(there, { ...model, contextLength: 4_096 });
    expect(proofFailure(proof)).toBeNull();
    expect(proof.findings).toMatchObject([
      { endpoint: "/v1/messages", check: "answers", verdict: "unshown" },
      { endpoint: "/v1/responses", check: "tools", verdict: "unshown" },
    ]);
  });

  test("warns of a model that misses a tool, where the endpoint does what it should", async () => {
    await using there = await place({ models: [{ ...scripted, toolSteps: 0 }] });
    const proof = await prove(there);
    expect(proofFailure(proof)).toBeNull();
    expect(proof.findings).toMatchObject([{ check: "tools", verdict: "weak", found: "the model called no tool" }]);
  });

  test("lets a model think that may, and is content with an answer", async () => {
    await using there = await place({ models: [scripted] });
    const proxy = await startTestProxy({ upstream: there.lmstudio.url, models: { [id]: { thinking: "on" } } });
    const proof = await prove({ ...there, proxy }, { ...model, thinking: "on" });
    await proxy[Symbol.asyncDispose]();
    expect(proofFailure(proof)).toBeNull();
    expect(proof.strategies).toEqual({});
  });

  test("teaches the proxy which way works on chat, and is not needed again after a restart", async () => {
    await using there = await place({ reasoningNotRecognised: true, prefill: "honoured" });
    const proof = await prove(there);
    // No request keeps this model from thinking on the others.
    expect(proof.findings.filter(({ verdict }) => verdict === "failed").map(({ endpoint }) => endpoint)).not.toContain(
      "/v1/chat/completions",
    );
    expect(proof.strategies["/v1/chat/completions"]).toBe("prefill");
    await there.proxy.drain();
    const restarted = new StrategyMemory(new LearnedFile(there.proxy.folder, pino({ level: "silent" })).read());
    expect(restarted.strategy("auto", id, undefined)).toEqual({ effort: false, prefill: true });
  });

  test("a broken connection ends it at once", async () => {
    await using there = await place();
    await there.lmstudio.down();
    const proof = await proveOnce({ host: "127.0.0.1", port: there.lmstudio.port }, model, { depth: "pulse" });
    expect(proofFailure(proof)?.message).toMatch(/no whole answer came/);
  });

  test("a pulse asks one token of LM Studio itself, and sees a thought", async () => {
    await using there = await place();
    const where = { host: "127.0.0.1", port: there.lmstudio.port };
    expect(await proveOnce(where, model, { depth: "pulse", direct: true })).toMatchObject({ ok: true, findings: [] });
    expect(there.lmstudio.bodies("/v1/responses")).toMatchObject([
      { max_output_tokens: 1, reasoning: { effort: "none" } },
    ]);
    there.lmstudio.set({ thinksAnyway: true });
    expect(await proveOnce(where, model, { depth: "pulse", direct: true })).toMatchObject({ ok: false });
  });
});
