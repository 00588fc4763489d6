import { describe, expect, it } from "vitest";
import type { ProxyKey } from "../../../../infra/spec/proxy-config.ts";
import { modelFault } from "../../../../proxy/access/caller.ts";
import { Gatekeeper, type Verdict } from "../../../../proxy/access/gatekeeper.ts";
import { proxyKey, sha256 } from "./keys.ts";

const minute = 60_000;
const there = "192.0.2.7";

function keeper(first: readonly ProxyKey[], options: { wrongKeys?: number; anonymous?: boolean } = {}) {
  const world = { keys: first, now: Date.parse("2026-06-01T12:00:00Z"), asked: 0 };
  const gate = new Gatekeeper({
    keys: () => world.keys,
    anonymous: () => options.anonymous ?? false,
    wrongKeys: () => options.wrongKeys ?? 10,
    now: () => world.now,
  });
  const bearer = (key: string, address = there) => gate.admit({ authorization: `Bearer ${key}` }, address);
  return { world, gate, bearer };
}

const idOf = (verdict: Verdict): string | undefined => ("caller" in verdict ? verdict.caller.id : undefined);
const refused = (verdict: Verdict) => {
  if ("caller" in verdict) throw new Error(`${verdict.caller.id} was let in`);
  const { status, code, message, retryAfter } = verdict.fault;
  return { status, code, message, retryAfter, delayMs: verdict.delayMs };
};

describe("a key", () => {
  const { gate } = keeper([proxyKey("a"), proxyKey("b"), proxyKey("c")]);
  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString("base64")}` });

  it.each([
    ["as a bearer token", { authorization: "Bearer secret-of-a" }, "a"],
    ["whatever the case of the scheme", { authorization: "bEARER secret-of-b" }, "b"],
    ["with blanks around it", { authorization: "Bearer   secret-of-b  " }, "b"],
    ["the Anthropic way", { "x-api-key": "secret-of-c" }, "c"],
    ["the Anthropic way beside another scheme", { authorization: "Basic eDp5", "x-api-key": "secret-of-c" }, "c"],
  ])("is known %s", (_how, headers, id) => {
    expect(idOf(gate.admit(headers, there))).toBe(id);
  });

  it.each([
    ["nothing", {}, "missing_api_key"],
    ["an empty one", { authorization: "Bearer ", "x-api-key": "" }, "missing_api_key"],
    ["another scheme", { authorization: "Digest secret-of-a" }, "missing_api_key"],
    ["the digest of a key", { authorization: `Bearer ${sha256("secret-of-a")}` }, "invalid_api_key"],
    ["half of one", { authorization: "Bearer secret-of" }, "invalid_api_key"],
    ["two in one header", { "x-api-key": "secret-of-a, secret-of-b" }, "invalid_api_key"],
    ["a login box's, where none belongs", basic("me:secret-of-a"), "missing_api_key"],
  ])("is not made by %s", (_what, headers, code) => {
    expect(refused(gate.admit(headers, there))).toMatchObject({ status: 401, code, delayMs: 0 });
  });

  it("comes as a browser's password where a browser is expected, whatever name stands in front", () => {
    for (const pair of ["me:secret-of-a", ":secret-of-a"]) {
      expect(idOf(gate.admit(basic(pair), there, { basic: true }))).toBe("a");
    }
    expect(refused(gate.admit(basic("me:wrong"), there, { basic: true })).code).toBe("invalid_api_key");
    for (const pair of ["me:", "secret-of-a", ""]) {
      expect(refused(gate.admit(basic(pair), there, { basic: true })).code).toBe("missing_api_key");
    }
  });

  it("with a colon, or letters beyond ASCII in front, is the whole rest of the pair", () => {
    const { gate: other } = keeper([proxyKey("a", {}, "se:cr:et-value")]);
    expect(idOf(other.admit(basic("mé:se:cr:et-value"), there, { basic: true }))).toBe("a");
  });
});

describe("what a key allows", () => {
  const allowed = (key: ProxyKey) => {
    const verdict = keeper([key]).bearer(`secret-of-${key.id}`);
    if (!("caller" in verdict)) throw new Error("refused");
    return verdict.caller;
  };

  it("is its models and no other", () => {
    const caller = allowed(proxyKey("a", { models: ["small", "smaller"] }));
    expect(caller.unrestricted).toBe(false);
    expect(modelFault(caller, "smaller")).toBeUndefined();
    expect(modelFault(caller, "big")).toMatchObject({ status: 403, code: "model_not_allowed" });
    expect(modelFault(caller, "")).toBeDefined();
  });

  it("is everything with *", () => {
    const caller = allowed(proxyKey("a", { models: ["small", "*"] }));
    expect(caller.unrestricted).toBe(true);
    expect(modelFault(caller, "big")).toBeUndefined();
  });

  it("is administration only when it says so", () => {
    expect(allowed(proxyKey("a")).admin).toBe(false);
    expect(allowed(proxyKey("a", { admin: true })).admin).toBe(true);
  });
});

describe("an expired key", () => {
  it("is refused from its very moment on, and told since when", () => {
    const { world, bearer } = keeper([proxyKey("a", { expires: "2026-06-01T14:00:00+02:00" })]);
    world.now -= 1;
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    world.now += 1;
    const refusal = refused(bearer("secret-of-a"));
    expect(refusal).toMatchObject({ status: 401, code: "expired_api_key" });
    expect(refusal.message).toContain("2026-06-01T12:00:00.000Z");
  });

  it("is no guess: it is never slowed", () => {
    const { bearer } = keeper([proxyKey("a", { expires: "2020-01-01T00:00:00Z" })], { wrongKeys: 1 });
    for (let asked = 0; asked < 20; asked++) {
      expect(refused(bearer("secret-of-a"))).toMatchObject({ code: "expired_api_key", delayMs: 0 });
    }
  });
});

describe("requests per minute", () => {
  it("are a minute's worth at once, then one as often as the limit says", () => {
    const { world, bearer } = keeper([proxyKey("a", { requestsPerMinute: 3 }), proxyKey("b")]);
    for (let asked = 0; asked < 3; asked++) expect(idOf(bearer("secret-of-a"))).toBe("a");
    const refusal = refused(bearer("secret-of-a"));
    expect(refusal).toMatchObject({ status: 429, code: "rate_limit_exceeded", retryAfter: 20, delayMs: 0 });
    expect(idOf(bearer("secret-of-b"))).toBe("b");
    world.now += 19_000;
    expect(refused(bearer("secret-of-a")).retryAfter).toBe(1);
    world.now += 1_000;
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    expect(refused(bearer("secret-of-a")).status).toBe(429);
  });

  it("are not given anew by a reload, and a lower limit holds at once", () => {
    const { world, bearer } = keeper([proxyKey("a", { requestsPerMinute: 4 })]);
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    world.keys = [proxyKey("a", { requestsPerMinute: 4 }, "rotated")];
    for (let asked = 0; asked < 3; asked++) expect(idOf(bearer("rotated"))).toBe("a");
    expect(refused(bearer("rotated")).status).toBe(429);
    world.now += minute;
    world.keys = [proxyKey("a", { requestsPerMinute: 2 }), proxyKey("b")];
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    expect(refused(bearer("secret-of-a")).status).toBe(429);
  });
});

describe("a reload", () => {
  it("makes the old key wrong and the new one right with the next request", () => {
    const { world, bearer } = keeper([proxyKey("a")]);
    expect(idOf(bearer("secret-of-a"))).toBe("a");
    world.keys = [proxyKey("a", {}, "rotated-secret")];
    expect(refused(bearer("secret-of-a")).code).toBe("invalid_api_key");
    expect(idOf(bearer("rotated-secret"))).toBe("a");
  });

  it("that leaves no key lets nobody in", () => {
    const { world, bearer, gate } = keeper([proxyKey("a")]);
    world.keys = [];
    expect(refused(bearer("secret-of-a")).status).toBe(401);
    expect(refused(gate.admit({}, there)).status).toBe(401);
  });
});

it("without keys nobody is asked for one, and nobody may administrate", () => {
  const { gate } = keeper([], { anonymous: true });
  const verdict = gate.admit({ authorization: "Bearer anything" }, there);
  expect(verdict).toMatchObject({ caller: { id: "anonymous", unrestricted: true, admin: false } });
});

describe("guessing", () => {
  const guess = (gate: ReturnType<typeof keeper>, times: number, address = there) =>
    Array.from({ length: times }, (_, index) => refused(gate.bearer(`guess-${index}`, address)));

  it("is free for typing errors, then ever slower, then refused", () => {
    const gate = keeper([proxyKey("a")], { wrongKeys: 3 });
    const answers = guess(gate, 17);
    expect(answers.map(({ delayMs }) => delayMs).slice(0, 9)).toEqual([0, 0, 0, 250, 500, 1000, 2000, 4000, 5000]);
    expect(answers.slice(0, 15).every(({ status }) => status === 401)).toBe(true);
    expect(answers.slice(15)).toMatchObject([
      { status: 429, code: "too_many_wrong_keys", retryAfter: 60, delayMs: 5000 },
      { status: 429, retryAfter: 60 },
    ]);
  });

  it("never hinders a right key from the same address", () => {
    const gate = keeper([proxyKey("a")], { wrongKeys: 1 });
    guess(gate, 50);
    expect(idOf(gate.bearer("secret-of-a"))).toBe("a");
    expect(refused(gate.bearer("guess")).status).toBe(429);
  });

  it("at one address slows no other, and is forgotten after a minute of quiet", () => {
    const gate = keeper([proxyKey("a")], { wrongKeys: 1 });
    guess(gate, 10);
    expect(refused(gate.bearer("guess", "192.0.2.8")).delayMs).toBe(0);
    gate.world.now += minute - 1;
    expect(refused(gate.bearer("guess")).delayMs).toBeGreaterThan(0);
    gate.world.now += minute;
    expect(refused(gate.bearer("guess")).delayMs).toBe(0);
  });

  it("from many addresses of one household counts as one", () => {
    const gate = keeper([proxyKey("a")], { wrongKeys: 2 });
    const answers = Array.from({ length: 4 }, (_, index) =>
      refused(gate.bearer("guess", `2001:db8:1:2:${index}::${index}`)),
    );
    expect(answers.map(({ delayMs }) => delayMs)).toEqual([0, 0, 250, 500]);
  });

  it("is not what a request without a key does", () => {
    const gate = keeper([proxyKey("a")], { wrongKeys: 1 });
    for (let asked = 0; asked < 20; asked++) expect(refused(gate.gate.admit({}, there)).delayMs).toBe(0);
    expect(refused(gate.bearer("guess")).delayMs).toBe(0);
  });
});

it("no refusal repeats the key that came with the request", () => {
  const { bearer } = keeper([proxyKey("a", { expires: "2020-01-01T00:00:00Z" })], { wrongKeys: 1 });
  for (const key of ["planted-key", "secret-of-a", ...Array.from({ length: 9 }, () => "planted-key")]) {
    expect(JSON.stringify(refused(bearer(key)))).not.toMatch(/planted|secret-of/);
  }
});
