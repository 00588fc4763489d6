/** Who may: keys, what each allows, and what nobody gets. */
import http from "node:http";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeOf, get, post, until } from "./client.ts";
import { endpoints } from "./endpoints.ts";
import { adminKey, allKeys, entryOf, expiredKey, scopedKey, scopedModel, slowKey, teamKey } from "./keys.ts";
import { model, type Place, startPlace } from "./place.ts";
import { SharedFolder } from "./shared-folder.ts";

let place: Place;

beforeAll(async () => {
  place = await startPlace();
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const url = (path: string) => `${place.proxy.url}${path}`;
const ask = async (key: string | null, name = model) => {
  const answer = await post(url("/v1/responses"), { model: name, input: "hello" }, { key });
  return [answer.status, answer.status === 200 ? undefined : codeOf(answer)];
};

describe("a key", () => {
  it("is asked for on every endpoint, and LM Studio hears nothing of whoever has none", async () => {
    const before = place.sim.journal().length;
    for (const { path, question } of endpoints) {
      for (const key of [null, "sk-wrong"]) {
        const answer = await post(url(path), question(model, "hello"), { key });
        expect(answer.status).toBe(401);
        expect(answer.headers.get("www-authenticate")).toContain("Bearer");
        expect(codeOf(answer)).toMatch(/^(missing_api_key|invalid_api_key|authentication_error)$/);
      }
    }
    expect((await get(url("/v1/models"), { key: null })).status).toBe(401);
    expect(place.sim.journal()).toHaveLength(before);
  });

  it("opens the proxy as Bearer or as x-api-key, and goes no further than the proxy", async () => {
    expect(await ask(teamKey)).toEqual([200, undefined]);
    const anthropic = { key: null, headers: { "x-api-key": teamKey } };
    const body = { model, max_tokens: 9, messages: [{ role: "user", content: "hello" }] };
    expect((await post(url("/v1/messages"), body, anthropic)).status).toBe(200);
    expect(JSON.stringify(place.sim.journal())).not.toContain(teamKey);
  });

  it("that has expired is refused, and told so", async () => {
    expect(await ask(expiredKey)).toEqual([401, "expired_api_key"]);
  });

  it("for one model opens that one alone, and lists no other", async () => {
    expect(await ask(scopedKey, scopedModel)).toEqual([200, undefined]);
    expect(await ask(scopedKey, `${scopedModel}:think`)).toEqual([200, undefined]);
    expect(await ask(scopedKey, model)).toEqual([403, "model_not_allowed"]);
    const { json } = await get(url("/v1/models"), { key: scopedKey });
    const ids = (json as { data: { id: string }[] }).data.map(({ id }) => id.replace(/:.*/, ""));
    expect(new Set(ids)).toEqual(new Set([scopedModel]));
  });

  it("with a limit is told when its requests are used up, and when it may come again", async () => {
    expect(await ask(slowKey)).toEqual([200, undefined]);
    const second = await post(url("/v1/responses"), { model, input: "hello" }, { key: slowKey });
    expect([second.status, codeOf(second)]).toEqual([429, "rate_limit_exceeded"]);
    expect(second.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(await ask(teamKey)).toEqual([200, undefined]);
  });

  it("has its use counted, by model, for those who may read it", async () => {
    await ask(scopedKey, scopedModel);
    const { status, json } = await get(url("/-/usage"), { key: adminKey });
    expect(status).toBe(200);
    const rows = (json as { usage: { key: string; model: string }[] }).usage;
    expect(rows).toContainEqual(
      expect.objectContaining({ key: "scoped", model: scopedModel, outputTokens: expect.any(Number) }),
    );
    expect(JSON.stringify(json)).not.toContain("sk-");
    expect((await place.proxy.admin("GET", "/-/usage")).status).toBe(200);
    for (const key of [teamKey, scopedKey]) expect((await get(url("/-/usage"), { key })).status).toBe(403);
  });

  it("is replaced in the keys file while the proxy runs: the old one ends, the new one begins", async () => {
    const started = await startedAt();
    const renewed = "sk-team-next-9f";
    await place.proxy.folder.writeKeys([entryOf("team", renewed), ...allKeys.slice(1)]);
    await until("the new key opens", async () => (await ask(renewed))[0] === 200);
    expect(await ask(teamKey)).toEqual([401, "invalid_api_key"]);
    await place.proxy.folder.writeKeys([...allKeys, { id: "no digest" }]);
    await until("the wrong file is told", async () => "problem" in ((await get(url("/readyz"))).json as object));
    expect(await ask(renewed)).toEqual([200, undefined]);
    await place.proxy.folder.writeKeys(allKeys);
    await until("the first key opens again", async () => (await ask(teamKey))[0] === 200);
    expect(await startedAt()).toBe(started);
  });
});

describe("nobody", () => {
  it.each(["load", "unload", "download", "download/status/1"])("reaches LM Studio's management: %s", async (what) => {
    const before = place.sim.journal().length;
    for (const key of [teamKey, adminKey]) {
      const answer = await post(url(`/api/v1/models/${what}`), { model, instance_id: model }, { key });
      expect([answer.status, codeOf(answer)]).toEqual([403, "management_closed"]);
    }
    expect(place.sim.journal()).toHaveLength(before);
  });

  it("gets a WebSocket", async () => {
    for (const path of ["/v1/responses", "/llm", "/"]) {
      const headers = { connection: "upgrade", upgrade: "websocket", authorization: `Bearer ${teamKey}` };
      const status = await new Promise((resolve, reject) => {
        const request = http.get(url(path), { headers }, (response) => resolve(response.resume().statusCode));
        request.once("upgrade", () => resolve(101)).once("error", reject);
      });
      expect([path, status]).toEqual([path, path === "/" ? 200 : 426]);
    }
  });

  it("is served by a proxy that is reachable from outside and has neither keys nor the word that it needs none", async () => {
    await using folder = await SharedFolder.make();
    await folder.write("proxy.json", { listen: { host: "0.0.0.0" }, upstream: "http://127.0.0.1:9" });
    const mount = `${folder.path}:/run/lmstack:ro`;
    const refused = await execa("docker", ["run", "--rm", "--volume", mount, place.image], { reject: false });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/0\.0\.0\.0 is reachable from outside.*keys.*allowAnonymous/s);
  });
});

async function startedAt(): Promise<string> {
  return (await execa("docker", ["inspect", "--format", "{{.State.StartedAt}} {{.Id}}", place.proxy.id])).stdout;
}
