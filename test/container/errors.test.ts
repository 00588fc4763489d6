/** Whatever goes wrong is told in the client's own form, with a status that means it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, codeOf, get, openStream, post, type Stream } from "./client.ts";
import { beginStream, type HeldUpstream, startHeldUpstream } from "./held-upstream.ts";
import { model, type Place, startPlace } from "./place.ts";
import { type ProxyContainer, startProxyContainer } from "./proxy-container.ts";

let place: Place;
/** Answers when told to, and then is no more. */
let mortal: HeldUpstream;
let beforeMortal: ProxyContainer;

beforeAll(async () => {
  place = await startPlace({ limits: { bodyBytes: 4_096 } });
  mortal = await startHeldUpstream();
  beforeMortal = await startProxyContainer(place.image, mortal.port);
});

afterAll(async () => {
  await beforeMortal?.[Symbol.asyncDispose]();
  await mortal?.[Symbol.asyncDispose]();
  await place?.[Symbol.asyncDispose]();
});

/** What each kind of client looks at: the code, or Anthropic's type. */
const clients = [
  { path: "/v1/responses", form: "OpenAI's" },
  { path: "/v1/chat/completions", form: "OpenAI's" },
  { path: "/v1/messages", form: "Anthropic's" },
] as const;
const told = (answer: Answer) => [answer.status, codeOf(answer)];

describe.each(clients)("on $path, in $form form", ({ path, form }) => {
  const code = (openAi: string, anthropic: string) => (form === "OpenAI's" ? openAi : anthropic);
  const url = (proxy: ProxyContainer) => `${proxy.url}${path}`;
  const message = ({ json }: Answer) => (json as { error: { message: string } }).error.message;

  it("a body that is no JSON is refused with 400", async () => {
    const answer = await post(url(place.proxy), '{"model":');
    expect(told(answer)).toEqual([400, code("invalid_json", "invalid_request_error")]);
    expect(message(answer)).toContain("Send one JSON object");
  });

  it("a body that is too large is refused with 413, and the limit is told", async () => {
    const answer = await post(url(place.proxy), { model, input: "x".repeat(5_000) });
    expect(told(answer)).toEqual([413, code("request_too_large", "request_too_large")]);
    expect(message(answer)).toContain("4096");
  });

  it("a path or method that does not exist is told, with what does", async () => {
    const unknown = await post(`${url(place.proxy)}/nonsense`, {});
    expect(told(unknown)).toEqual([404, code("unknown_path", "not_found_error")]);
    expect(message(unknown)).toContain("/v1/responses");
    const reading = await get(url(place.proxy));
    expect(told(reading)).toEqual([405, code("method_not_allowed", "invalid_request_error")]);
    expect(reading.headers.get("allow")).toBe("POST");
  });

  it("a stream that LM Studio breaks off ends in a failure event and cleanly", async () => {
    const opening = openStream(url(beforeMortal), { model, stream: true });
    const request = await mortal.arrived(mortal.requests.length + 1);
    beginStream(request, "event: a\ndata: {}\n\n");
    const stream = await opening;
    request.response.destroy();
    await stream.ended;
    expect(stream.events).toHaveLength(2);
    expect(failureOf(stream)).toBe(code("upstream_failed", "api_error"));
    const name = { "/v1/responses": "response.failed", "/v1/chat/completions": undefined, "/v1/messages": "error" };
    expect(stream.events[1]?.event).toBe(name[path]);
  });
});

it("an error that LM Studio sends with status 200 has the right one behind the proxy", async () => {
  const path = "/api/v0/models/nobody";
  expect((await get(`${place.sim.url}${path}`)).status).toBe(200);
  expect(told(await get(`${place.proxy.url}${path}`))).toEqual([404, "unknown_path"]);
});

it("a refusal of LM Studio keeps its status and its words", async () => {
  const body = { model: "nobody", messages: [] };
  const direct = await post(`${place.sim.url}/v1/chat/completions`, body);
  const passed = await post(`${place.proxy.url}/v1/chat/completions`, body);
  expect(direct.status).toBeGreaterThanOrEqual(400);
  expect(passed.status).toBe(direct.status);
  expect(passed.json).toEqual(direct.json);
});

it("while LM Studio is down everybody is told 503 and when to try again, and the proxy itself stays up", async () => {
  await mortal[Symbol.asyncDispose]();
  for (const { path, form } of clients) {
    const answer = await post(`${beforeMortal.url}${path}`, { model, messages: [] });
    expect(told(answer)).toEqual([503, form === "OpenAI's" ? "upstream_down" : "overloaded_error"]);
    expect(answer.headers.get("retry-after")).toBe("2");
  }
  expect(await get(`${beforeMortal.url}/readyz`)).toMatchObject({ status: 503, json: { ready: false } });
  expect((await get(`${beforeMortal.url}/healthz`)).status).toBe(200);
});

function failureOf({ events }: Stream): string | undefined {
  const failure = JSON.parse(events.at(-1)?.data ?? "{}");
  const { error } = failure.response ?? failure;
  return error?.code ?? error?.type;
}
