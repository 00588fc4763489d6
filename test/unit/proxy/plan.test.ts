import { describe, expect, it } from "vitest";
import { RequestMemo } from "../../../proxy/codex/request/translate.ts";
import { type PlanFacts, planRequest } from "../../../proxy/plan.ts";
import { JsonBody } from "../../../proxy/splice/body.ts";

const planned = (endpoint: PlanFacts["endpoint"], request: unknown, codexTools: PlanFacts["codexTools"]) => {
  const facts: PlanFacts = {
    endpoint,
    codexTools,
    wish: { model: "m", thinking: "off", aliased: false },
    strategy: { effort: false, prefill: true },
    options: undefined,
    memo: new RequestMemo(),
    instance: "m",
  };
  const plan = planRequest(JsonBody.of(Buffer.from(JSON.stringify(request))), facts);
  return { ...plan, body: JSON.parse(Buffer.concat(plan.chunks).toString()) as { messages: { role: string }[] } };
};
const message = (role: string) => ({ role, content: role });
const roles = ({ messages }: { messages: { role: string }[] }) => messages.map(({ role }) => role);

describe("rules that touch one conversation", () => {
  it("a closed thought goes behind what is last once the system messages are joined", () => {
    const request = { messages: ["user", "system", "developer"].map(message) };
    expect(roles(planned("chat", request, "translate").body)).toEqual(["system", "user", "assistant"]);
  });

  it("a client's own prefill is seen although a system message stands behind it", () => {
    const request = { messages: ["user", "assistant", "system"].map(message) };
    expect(roles(planned("chat", request, "translate").body)).toEqual(["system", "user", "assistant"]);
  });

  it("LM Studio's own chat keeps what it alone knows", () => {
    const request = { messages: ["user", "system"].map(message), tools: [{ type: "plugin" }], reasoning: "off" };
    expect(planned("native-chat", request, "translate").body).toEqual(request);
  });

  it("nothing is joined or left out where requests are to pass", () => {
    const messages = ["user", "system", "user", "system", "assistant"].map(message);
    const request = { messages, tools: [{ type: "custom" }], thinking: { type: "disabled" } };
    for (const endpoint of ["chat", "messages"] as const) {
      const { body, rewritten, droppedTools } = planned(endpoint, request, "pass");
      expect({ body, rewritten, droppedTools }).toEqual({ body: request, rewritten: [], droppedTools: [] });
    }
  });
});
