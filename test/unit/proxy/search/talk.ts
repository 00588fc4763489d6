/** A model that is told what to say, in LM Studio's form, with a search engine and the proxy beside it. */
import type http from "node:http";
import type { ProxyConfigInput } from "../../../../infra/spec/proxy-config.ts";
import { startSearxng } from "../../../searxng/server.ts";
import { send, startTestProxy, startUpstream } from "../harness.ts";

// biome-ignore lint/suspicious/noExplicitAny: events are looked into without end
export type Json = Record<string, any>;

export const query = "what is lmstack, Frau Grünspan?";
export const message = (text: string): Json => ({
  type: "message",
  id: `msg_${text.length}`,
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
});
export const call = (name: string, args: Json): Json => ({
  type: "function_call",
  id: `fc_${name}`,
  call_id: `call_${name}`,
  name,
  arguments: JSON.stringify(args),
  status: "completed",
});
export const search = (text = query) => call("web_search", { query: text });
export const json = { "content-type": "application/json" };
export const sse = { "content-type": "text/event-stream" };
const usage = { input_tokens: 100, output_tokens: 10, total_tokens: 110 };

/** LM Studio's answer with these items, in the form that the request asks for. */
function say(response: http.ServerResponse, stream: boolean, id: string, output: readonly Json[]): void {
  const whole = { id, object: "response", status: "completed", model: "m", output, usage };
  if (!stream) {
    response.setHeader("content-type", "application/json").end(JSON.stringify(whole));
    return;
  }
  response.writeHead(200, sse);
  let number = 0;
  const event = (type: string, data: Json) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data, sequence_number: number++ })}\n\n`);
  const started = { response: { ...whole, status: "in_progress", output: [], usage: null } };
  event("response.created", started);
  event("response.in_progress", started);
  output.forEach((item, output_index) => {
    const place = { output_index, item_id: item.id };
    event("response.output_item.added", {
      output_index,
      item: { ...item, status: "in_progress", ...(item.type === "message" ? { content: [] } : { arguments: "" }) },
    });
    if (item.type === "message") {
      const [part] = item.content;
      event("response.content_part.added", { ...place, content_index: 0, part: { ...part, text: "" } });
      event("response.output_text.delta", { ...place, content_index: 0, delta: part.text, logprobs: [] });
      event("response.output_text.done", { ...place, content_index: 0, text: part.text, logprobs: [] });
      event("response.content_part.done", { ...place, content_index: 0, part });
    } else event("response.function_call_arguments.done", { ...place, name: item.name, arguments: item.arguments });
    event("response.output_item.done", { output_index, item });
  });
  event("response.completed", { response: whole });
  response.end();
}

type Say = readonly Json[] | ((response: http.ServerResponse) => void);

/** A model that says one thing after the other, a search engine, and the proxy between them. */
export async function startTalk(rounds: readonly Say[], config: Partial<ProxyConfigInput> = {}) {
  const searxng = await startSearxng();
  let count = 0;
  const upstream = await startUpstream((response, { body }) => {
    const round = rounds[count++];
    if (typeof round === "function") round(response);
    else say(response, JSON.parse(body).stream === true, `resp_${count}`, round ?? [message("That is all.")]);
  });
  const proxy = await startTestProxy({ upstream: upstream.url, search: { searxng: searxng.url }, ...config });
  return {
    searxng,
    upstream,
    proxy,
    /** Bodies that LM Studio got. */
    asked: () => upstream.seen.map(({ body }) => JSON.parse(body) as Json),
    metric: async (name: string) => {
      const { text } = await send(proxy.port, "/metrics");
      return Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${name} `))
          ?.split(" ")[1],
      );
    },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await searxng[Symbol.asyncDispose]();
    },
  };
}
