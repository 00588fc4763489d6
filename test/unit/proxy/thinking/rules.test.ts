import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonBody } from "../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../proxy/splice/rewriting.ts";
import { type Strategy, strategyFor, thinkingFor } from "../../../../proxy/thinking/policy.ts";
import { type SwitchedEndpoint, switchThinking, type ThinkingRequest } from "../../../../proxy/thinking/rules.ts";
import { objectText } from "../json-text.ts";

const effort: Strategy = { effort: true, prefill: false };
const rewrite = (text: string, endpoint: SwitchedEndpoint, change: Partial<ThinkingRequest> = {}) => {
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const request = { endpoint, thinking: "off" as const, strategy: effort, options: ["off", "on"], ...change };
  const changed = switchThinking(rewriting, request);
  const result = Buffer.concat(rewriting.chunks()).toString();
  expect(changed).toBe(result !== text);
  return result;
};

/** What LM Studio must find for each endpoint when thinking is off. */
const isOff: Record<SwitchedEndpoint, (body: Record<string, { [key: string]: unknown }>) => boolean> = {
  responses: (body) => body.reasoning?.effort === "none",
  chat: (body) => (body.reasoning_effort as unknown) === "none",
  "native-chat": (body) => (body.reasoning as unknown) === "off",
  messages: (body) => body.thinking?.type === "disabled",
};

const role = fc.constantFrom("user", "assistant", "system");
const message = role.map((who) => JSON.stringify({ role: who, content: "x" }));
const anyBody = objectText({
  model: fc.constant('"m"'),
  reasoning: fc.constantFrom(
    '{"summary":"auto"}',
    '{"effort":"high","effort":"low"}',
    '"on"',
    "null",
    '{"effort":"none"}',
  ),
  reasoning_effort: fc.constantFrom('"high"', '"n\\u006fne"', "null"),
  thinking: fc.constantFrom('{"type":"enabled","budget_tokens":9}', "{}"),
  messages: fc.array(message, { maxLength: 3 }).map((list) => `[${list.join(" , ")}]`),
});
const endpoints: SwitchedEndpoint[] = ["responses", "chat", "native-chat", "messages"];

describe.each(endpoints)("no thinking on %s", (endpoint) => {
  it("is what the rewritten body says, whatever it said before", () => {
    fc.assert(fc.property(anyBody, (text) => isOff[endpoint](JSON.parse(rewrite(text, endpoint)))));
  });

  it("changes nothing when it is rewritten again", () => {
    fc.assert(
      fc.property(anyBody, (text) => {
        const once = rewrite(text, endpoint);
        expect(rewrite(once, endpoint)).toBe(once);
      }),
    );
  });

  it("leaves every other member as it was", () => {
    const switches = {
      responses: "reasoning",
      chat: "reasoning_effort",
      "native-chat": "reasoning",
      messages: "thinking",
    };
    fc.assert(
      fc.property(anyBody, (text) => {
        const before = JSON.parse(text) as Record<string, unknown>;
        const after = JSON.parse(rewrite(text, endpoint)) as Record<string, unknown>;
        delete before[switches[endpoint]];
        delete after[switches[endpoint]];
        expect(after).toEqual(before);
      }),
    );
  });

  it("touches nothing when the client decides", () => {
    fc.assert(fc.property(anyBody, (text) => rewrite(text, endpoint, { thinking: "client" }) === text));
  });

  it("is taken back by the policy on, whatever else the client set", () => {
    fc.assert(
      fc.property(anyBody, (text) => {
        const forced = rewrite(rewrite(text, endpoint), endpoint, { thinking: "on" });
        expect(isOff[endpoint](JSON.parse(forced))).toBe(false);
      }),
    );
  });
});

describe("the exact bytes", () => {
  it("puts the effort beside the summary that Codex asks for", () => {
    expect(rewrite('{"model":"m", "reasoning": {"summary":"auto"} ,"stream":true}', "responses")).toBe(
      '{"model":"m", "reasoning": {"summary":"auto","effort":"none"} ,"stream":true}',
    );
  });

  it("changes the last of two efforts, the one that counts", () => {
    expect(rewrite('{"reasoning_effort":"low","reasoning_effort":"high"}', "chat")).toBe(
      '{"reasoning_effort":"low","reasoning_effort":"none"}',
    );
  });

  it("asks the native chat for off only where the model has that option", () => {
    expect(rewrite('{"input":"x"}', "native-chat", { options: undefined })).toBe('{"input":"x"}');
    expect(rewrite('{"input":"x"}', "native-chat", { options: ["low", "high"] })).toBe('{"input":"x"}');
    expect(rewrite('{"input":"x"}', "native-chat")).toBe('{"input":"x","reasoning":"off"}');
  });
});

describe("the prefill", () => {
  const prefill: Strategy = { effort: false, prefill: true };

  it("follows the last message, and never an assistant's", () => {
    fc.assert(
      fc.property(anyBody, (text) => {
        const before = JSON.parse(text) as { messages?: unknown };
        const after = JSON.parse(rewrite(text, "chat", { strategy: prefill })) as { messages?: { role: string }[] };
        if (!Array.isArray(before.messages) || before.messages.length === 0) return;
        const lastBefore = before.messages.at(-1) as { role?: string } | null;
        const added = (after.messages?.length ?? 0) - before.messages.length;
        expect(added).toBe(lastBefore?.role === "assistant" ? 0 : 1);
        expect(after.messages?.slice(0, before.messages.length)).toEqual(before.messages);
      }),
    );
  });

  it("is added once, however often the body passes", () => {
    const once = rewrite('{"messages":[{"role":"user","content":"x"}]}', "chat", {
      strategy: { effort: true, prefill: true },
    });
    expect(rewrite(once, "chat", { strategy: { effort: true, prefill: true } })).toBe(once);
    expect(JSON.parse(once).messages).toHaveLength(2);
    expect(JSON.parse(once).reasoning_effort).toBe("none");
  });
});

describe("choosing", () => {
  it("takes the model's own policy, then that of every model, then off", () => {
    const models = { a: { thinking: "on" }, "*": { thinking: "client" } } as const;
    expect(thinkingFor(models, "a")).toBe("on");
    expect(thinkingFor(models, "b")).toBe("client");
    expect(thinkingFor(models, undefined)).toBe("client");
    expect(thinkingFor({ a: { thinking: "on" } }, "constructor")).toBe("off");
  });

  it("prefills in auto only where the model's options know no off", () => {
    expect(strategyFor("auto", undefined)).toEqual({ effort: true, prefill: false });
    expect(strategyFor("auto", ["off", "on"])).toEqual({ effort: true, prefill: false });
    expect(strategyFor("auto", ["low", "high"])).toEqual({ effort: false, prefill: true });
    expect(strategyFor("both", undefined)).toEqual({ effort: true, prefill: true });
    expect(strategyFor("prefill", ["off"])).toEqual({ effort: false, prefill: true });
  });
});
