import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { proxyConfigSchema } from "../../../infra/spec/proxy-config.ts";
import { json, send, startTestProxy, startUpstream, type Upstream } from "./harness.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const keys = [
  { id: "everything", sha256: sha256("key-of-all"), models: ["*"] },
  { id: "one", sha256: sha256("key-of-one"), models: ["small"] },
];
const start = (upstream: Upstream) => startTestProxy({ upstream: upstream.url, keys });
const ask = (model: string, headers: Record<string, string>, path = "/v1/responses") => {
  const { body, headers: types } = json({ model, input: "x" });
  return { path, sending: { body: body as string, headers: { ...types, ...headers } } };
};

describe("with keys", () => {
  it.each([
    ["no key", {}, 401],
    ["a wrong key", { authorization: "Bearer key-of-nobody" }, 401],
    ["a hash for a key", { authorization: `Bearer ${sha256("key-of-all")}` }, 401],
    ["another scheme", { authorization: "Basic key-of-all" }, 401],
    ["a right key", { authorization: "Bearer key-of-all" }, 200],
    ["a right key in small letters", { authorization: "bearer key-of-all" }, 200],
    ["a right key the Anthropic way", { "x-api-key": "key-of-all" }, 200],
    ["a key of another model", { authorization: "Bearer key-of-one" }, 403],
  ])("%s is answered as it should be", async (_name, headers, status) => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await start(upstream);
    for (const path of ["/v1/responses", "/v1/embeddings", "/v1/messages"]) {
      const { sending } = ask("big", headers);
      expect((await send(proxy.port, path, sending)).status).toBe(status);
    }
    expect(upstream.seen).toHaveLength(status === 200 ? 3 : 0);
  });

  it("a key that is bound to a model serves that one", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await start(upstream);
    for (const path of ["/v1/responses", "/v1/embeddings"]) {
      const { sending } = ask("small", { authorization: "Bearer key-of-one" });
      expect((await send(proxy.port, path, sending)).status).toBe(200);
      const disguised = { ...sending, body: '{"model":"small","model":"big","input":"x"}' };
      expect((await send(proxy.port, path, disguised)).status).toBe(403);
    }
  });

  it("the key ends here: LM Studio and the log never see it", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await start(upstream);
    const { path, sending } = ask("m", { authorization: "Bearer key-of-all", "x-api-key": "key-of-all" });
    await send(proxy.port, path, sending);
    expect(JSON.stringify(upstream.seen)).not.toContain("key-of-all");
    expect(JSON.stringify(proxy.log)).not.toContain("key-of-all");
    expect(proxy.log.some((line) => line.key === "everything")).toBe(true);
  });

  it("nothing that a client wrote is in the log", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await send(proxy.port, "/v1/responses?token=planted", json({ model: "m", input: "planted" }));
    await send(proxy.port, "/v1/responses", { body: '{"input":"planted' });
    expect(JSON.stringify(proxy.log)).not.toContain("planted");
  });

  it("the probes need none, and neither does the admin socket", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), { models: [] });
    await using proxy = await start(upstream);
    expect((await send(proxy.port, "/healthz")).status).toBe(200);
    expect((await send(proxy.port, "/readyz")).status).toBe(200);
    const { path, sending } = ask("m", {});
    expect((await send(0, path, { ...sending, socketPath: proxy.adminSocket })).status).toBe(200);
  });
});

describe("without keys", () => {
  it("a listener beyond loopback has to be asked for in so many words", () => {
    const outside = { listen: { host: "0.0.0.0" }, upstream: "http://127.0.0.1:8081" };
    expect(proxyConfigSchema.safeParse(outside).success).toBe(false);
    expect(proxyConfigSchema.safeParse({ ...outside, allowAnonymous: true }).success).toBe(true);
    expect(proxyConfigSchema.safeParse({ ...outside, keys }).success).toBe(true);
  });

  it("a client's own Authorization is left to LM Studio", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    const { path, sending } = ask("m", { authorization: "Bearer sk-lm-x" });
    await send(proxy.port, path, sending);
    expect(upstream.seen[0]?.headers.authorization).toBe("Bearer sk-lm-x");
  });
});
