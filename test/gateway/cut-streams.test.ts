/** How a stream ends whose host dies under it, for the packages that people use; and what no stream notices of it. */
import type { ServerResponse } from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import fc from "fast-check";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { type Dialect, failureEvent } from "../../proxy/errors/dialect.ts";
import { Fault } from "../../proxy/errors/fault.ts";
import { dialects, plainPrinting, printed } from "../unit/proxy/answer/dialects.ts";
import { openStream } from "./client.ts";
import { GatewayPlace, type Peculiar } from "./place.ts";
import type { StandInHost } from "./stand-in-host.ts";
import { declared, openHosts } from "./trials.ts";

const model = "coder";
const messages = [{ role: "user" as const, content: "Go." }];

/** The beginning of an answer, which breaks off in the middle of an event. */
function halfAnswer(path: string): Buffer {
  const form = { "/v1/responses": "responses", "/v1/messages": "messages" }[path] ?? "chat";
  const whole = dialects.find((dialect) => dialect.form === form)?.events([["Hel", "lo"]]) ?? [];
  const bytes = printed(whole.slice(0, -3), { ...plainPrinting, names: true });
  return Buffer.concat([bytes, Buffer.from('data: {"type":"half of an ev')]);
}

async function gatewayBefore(
  open: AsyncDisposableStack,
  peculiar: Peculiar = {},
): Promise<{ url: string; host: StandInHost; place: GatewayPlace }> {
  const [host] = (await openHosts(open, [model])) as [StandInHost];
  const place = open.use(await GatewayPlace.open(declared([host]), [], peculiar));
  return { url: place.url, host, place };
}

for (const how of ["close", "break"] as const)
  test(`the packages of OpenAI and Anthropic raise the typed error of their own dialect when a host dies in the middle of an event, its connections ${how === "close" ? "closed" : "broken"}`, async () => {
    await using open = new AsyncDisposableStack();
    const { url, host } = await gatewayBefore(open);
    host.script = (response, path) => response.write(halfAnswer(path));
    const openAi = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk", maxRetries: 0 });
    const anthropic = new Anthropic({ baseURL: url, apiKey: "sk", maxRetries: 0 });
    const chat = await openAi.chat.completions.create({ model, messages, stream: true });
    const responses = await openAi.responses.create({ model, input: "Go.", stream: true });
    const completions = await openAi.completions.create({ model, prompt: "Go.", stream: true });
    const said = await anthropic.messages.create({ model, messages, max_tokens: 9, stream: true });
    const ends = [chat, responses, completions, said].map(endOf);
    await host.die(how);

    const [ofChat, ofResponses, ofCompletions, ofMessages] = await Promise.all(ends);
    const openAiError = { type: "server_error", code: "host_failed", message: expect.stringContaining("Ask again.") };
    for (const end of [ofChat, ofCompletions]) {
      expect(end?.error).toBeInstanceOf(OpenAI.APIError);
      expect(end?.error).not.toBeInstanceOf(OpenAI.APIConnectionError);
      expect(end?.error).toMatchObject(openAiError);
    }
    // An event like others to this package.
    expect(ofResponses).toMatchObject({
      error: null,
      last: { type: "response.failed", response: { status: "failed", error: { code: "host_failed" } } },
    });
    expect(ofMessages?.error).toBeInstanceOf(Anthropic.APIError);
    expect(ofMessages?.error).not.toBeInstanceOf(Anthropic.APIConnectionError);
    expect(ofMessages?.error).toMatchObject({ type: "overloaded_error" });
  });

async function endOf(stream: AsyncIterable<unknown>): Promise<{ error: unknown; last: unknown }> {
  let last: unknown;
  try {
    for await (const event of stream) last = event;
  } catch (error) {
    return { error, last };
  }
  return { error: null, last };
}

const dialectOf: Readonly<Record<string, Dialect>> = {
  "/v1/responses": "responses",
  "/v1/chat/completions": "chat",
  "/v1/completions": "chat",
  "/v1/messages": "messages",
};

test("a stream that ends well is byte for byte its host's; one that is cut anywhere has whole events, and then an error as the proxy writes it", async () => {
  await using open = new AsyncDisposableStack();
  const { url, host } = await gatewayBefore(open);
  const text = "The host that had this request failed before its answer was complete. Ask again.";
  const told = new Fault(503, "upstream_down", text);
  const play = fc.record({
    path: fc.constantFrom(...Object.keys(dialectOf)),
    events: fc.array(fc.record({ end: fc.constantFrom("\n", "\r\n"), size: fc.nat(2_000) }), { maxLength: 12 }),
    half: fc.nat(200),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
    // Large ones are not guarded, and go through all the same.
    well: fc.constantFrom(0, 0, 1, 150),
  });
  await fc.assert(
    fc.asyncProperty(play, async ({ path, events, half, cuts, well }) => {
      const print = ({ end, size }: { end: string; size: number }) =>
        `data: {"id":"resp_7","text":"${"x".repeat(size * Math.max(1, well))}"}${end}${end}`;
      const [whole, rest] = [events.map(print).join(""), `data: ${"y".repeat(half)}`.slice(0, half)];
      const places = [0, ...cuts, 1].map((cut) => Math.floor(cut * (whole + rest).length)).sort((a, b) => a - b);
      const arrived = Promise.withResolvers<void>();
      host.script = async (response) => {
        response.flushHeaders();
        for (const [index, place] of places.entries()) {
          response.write((whole + rest).slice(place, places[index + 1]));
          await new Promise(setImmediate);
        }
        await arrived.promise;
        if (well > 0) response.end();
        else response.socket?.destroy();
      };
      const answer = await fetch(url + path, { method: "POST", body: JSON.stringify({ model, stream: true }) });
      let got = "";
      if (whole === "") arrived.resolve();
      for await (const bytes of answer.body ?? []) {
        got += Buffer.from(bytes).toString();
        if (got.length >= whole.length) arrived.resolve();
      }
      if (well > 0) {
        expect(got).toBe(whole + rest);
        return;
      }
      const id = events.length > 0 ? "resp_7" : "resp_unknown";
      const error = failureEvent(told, dialectOf[path] as Dialect, id).replace("upstream_down", "host_failed");
      expect(got.slice(0, (whole + error).length)).toBe(whole + error);
      // Half an event is made a comment, except for what comes with the end itself.
      const after = got.slice((whole + error).length);
      const hidden = /^:?\.*/.exec(after)?.[0].length;
      expect(after.slice(hidden)).toBe(rest.slice(hidden));
    }),
    { numRuns: 60 },
  );
});

test.each([
  ["while its prompt is read", () => {}],
  ["in the middle of its answer", (response: ServerResponse) => void response.write("data: token\n\n")],
])("a client that goes away %s is no failure of its host, which hears of it at once", async (_, begin) => {
  await using open = new AsyncDisposableStack();
  const { url, host, place } = await gatewayBefore(open);
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  host.script = (response) => {
    response.once("close", gone.resolve);
    begin(response);
    begun.resolve();
  };
  const leaving = new AbortController();
  const body = JSON.stringify({ model, stream: true });
  const asking = fetch(`${url}/v1/responses`, { method: "POST", body, signal: leaving.signal });
  asking.catch(() => {});
  await begun.promise;
  leaving.abort();
  await gone.promise;
  const counted = /^haproxy_server_server_aborts_total\{proxy="model:coder",server="box1"\} (\d+)$/m;
  const figures = await fetch(place.metricsUrl).then((page) => page.text());
  expect(counted.exec(figures)?.[1]).toBe("0");
});

test("a HAProxy without Lua serves as well, and whoever deploys it reads what it does not do", async () => {
  await using open = new AsyncDisposableStack();
  const edit = (text: string) => text.replaceAll("feature(LUA)", "feature(NONE)");
  const { url, host, place } = await gatewayBefore(open, { edit });
  const { end } = await openStream(url, "one");
  await host.die();
  expect(await end).toBe("cut");
  expect(await place.machine("lua")).toMatch(/no Lua.*no error of its own dialect/);
  const { place: usual } = await gatewayBefore(open);
  expect(await usual.machine("lua")).toBe("");
});
