import { once } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adminCall } from "../../../../proxy/admin/api.ts";
import { Fault } from "../../../../proxy/errors/fault.ts";
import { json, open, send, startTestProxy, startUpstream } from "../harness.ts";

const faultOf = (method: string, path: string): Fault => {
  try {
    adminCall(method, path);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error(`${method} ${path} is a call`);
};

describe("an admin call", () => {
  it.each([
    ["POST", "/-/models/qwen/qwen3-8b/hold", { call: "hold", model: "qwen/qwen3-8b" }],
    ["POST", "/-/models/qwen%2Fqwen3-8b/resume", { call: "resume", model: "qwen/qwen3-8b" }],
    ["POST", "/-/models/a/hold/resume", { call: "resume", model: "a/hold" }],
    ["GET", "/-/usage", { call: "usage" }],
    ["GET", "/-/captures", { call: "captures" }],
    ["POST", "/-/reload", { call: "reload" }],
    ["POST", "/-/drain", { call: "drain" }],
    ["POST", "/-/handover", { call: "handover" }],
  ])("%s %s is understood", (method, path, call) => {
    expect(adminCall(method, path)).toEqual(call);
  });

  it.each([
    ["GET", "/-/models/m/hold", 405, "Use POST"],
    ["POST", "/-/usage", 405, "Use GET"],
    ["POST", "/-/models/m/unload", 404, "POST /-/models/ID/hold?seconds=N"],
    ["GET", "/-/else", 404, "GET /-/usage"],
    ["POST", "/-/models//hold", 404, "Known"],
    ["POST", "/-/models/%E0%A4%A/hold", 400, "percent-encoded"],
  ])("%s %s is refused with %i and what to do instead", (method, path, status, words) => {
    expect(faultOf(method, path)).toMatchObject({ status, message: expect.stringContaining(words) });
  });

  it("names any model, raw or encoded", () => {
    const id = fc.string({ minLength: 1, unit: "binary" }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(id, fc.constantFrom("hold", "resume"), (model, call) => {
        expect(adminCall("POST", `/-/models/${encodeURIComponent(model)}/${call}`)).toEqual({ call, model });
      }),
    );
  });
});

describe("the admin calls of a running proxy", () => {
  it("hold a model, say how many of its requests run and wait, and let them go on", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"));
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { "a/b": { slots: 1 } } });
    const post = async (path: string) => {
      const answer = await send(0, path, { method: "POST", socketPath: proxy.adminSocket });
      return { status: answer.status, ...(JSON.parse(answer.text) as { queued: number; heldUntil: number }) };
    };
    const before = Date.now();
    const held = await post("/-/models/a/b/hold?seconds=30");
    expect(held).toEqual({ status: 200, model: "a/b", running: 0, queued: 0, heldUntil: expect.any(Number) });
    expect(held.heldUntil).toBeGreaterThanOrEqual(before + 30_000);
    const waiting = send(proxy.port, "/v1/responses", json({ model: "a/b" }));
    // Posted again it is the answer to how far it is, and the hold lasts longer.
    let again = await post("/-/models/a/b/hold?seconds=90");
    while (again.queued === 0) again = await post("/-/models/a/b/hold?seconds=90");
    expect(again.heldUntil).toBeGreaterThan(held.heldUntil);
    expect(upstream.seen).toHaveLength(0);
    expect(await post("/-/models/a%2Fb/resume")).toMatchObject({ status: 200, heldUntil: null });
    expect((await waiting).status).toBe(200);
  });

  it.each(["0", "-1", "soon", "86401", "Infinity", ""])("refuse to hold for %j seconds", async (seconds) => {
    await using proxy = await startTestProxy({ upstream: "http://127.0.0.1:9" });
    const sending = { method: "POST", socketPath: proxy.adminSocket };
    const answer = await send(0, `/-/models/m/hold?seconds=${seconds}`, sending);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain("expected a number above 0 and at most 86400");
  });

  it("that end or replace the process are not for keys, not even for one of an admin", async () => {
    const { createHash } = await import("node:crypto");
    const key = (id: string, admin: boolean) => ({
      id,
      admin,
      sha256: createHash("sha256").update(`key-${id}`).digest("hex"),
    });
    await using proxy = await startTestProxy({
      upstream: "http://127.0.0.1:9",
      keys: [key("boss", true), key("guest", false)],
    });
    const as = (id: string, path: string, method: string) =>
      send(proxy.port, path, { method, headers: { authorization: `Bearer key-${id}` } });
    for (const call of ["drain", "handover", "reload"]) {
      expect([call, (await as("boss", `/-/${call}`, "POST")).status]).toEqual([call, 403]);
    }
    expect((await as("boss", "/-/usage", "GET")).status).toBe(200);
    expect((await as("guest", "/-/usage", "GET")).status).toBe(403);
    expect((await send(proxy.port, "/-/usage")).status).toBe(401);
    expect((await send(proxy.port, "/healthz")).status).toBe(200);
  });

  it("hand the port over, and give it back with an answer that comes when it is served again", async () => {
    await using proxy = await startTestProxy({ upstream: "http://127.0.0.1:9" });
    const { address, port } = proxy.address;
    const query = new URLSearchParams({ address, port: String(port), since: String(process.hrtime.bigint()) });
    const sending = { method: "POST", socketPath: proxy.adminSocket };
    const lease = await open(0, `/-/handover?${query}`, sending);
    const [first] = (await once(lease, "data")) as [Buffer];
    expect(JSON.parse(first.toString())).toEqual({ held: {}, working: {} });
    await expect(send(port, "/healthz")).rejects.toThrow("ECONNREFUSED");
    expect((await send(0, `/-/handover?${query}&back`, sending)).status).toBe(204);
    expect((await send(port, "/healthz")).status).toBe(200);
    lease.destroy();
  });

  it("hand nothing over to a process that has no place, another one, or was there before", async () => {
    await using proxy = await startTestProxy({ upstream: "http://127.0.0.1:9" });
    const { address, port } = proxy.address;
    const ask = (query: Record<string, string>) =>
      send(0, `/-/handover?${new URLSearchParams(query)}`, { method: "POST", socketPath: proxy.adminSocket });
    const later = String(process.hrtime.bigint());
    const asked = { address, port: String(port), since: later };
    for (const query of [{}, { ...asked, port: "1" }, { ...asked, since: "1" }, { ...asked, since: "x" }]) {
      expect((await ask(query)).status).toBe(409);
    }
    expect((await send(proxy.port, "/healthz")).status).toBe(200);
  });
});
