import { expect, it } from "vitest";
import { json, send, startTestProxy, startUpstream } from "../../harness.ts";

const image = { type: "input_image", image_url: "data:image/png;base64,AAAA" };
const listed = (id: string, capabilities: object) => ({
  key: id,
  capabilities,
  loaded_instances: [{ id, config: {} }],
});

it.each([
  ["that takes text only gets them in words", "blind", false],
  ["that sees gets them", "seeing", true],
  ["of which LM Studio says nothing gets them", "silent", true],
])("of a conversation with images a model %s", async (_, model, seen) => {
  const models = [listed("blind", { vision: false }), listed("seeing", { vision: true }), listed("silent", {})];
  await using upstream = await startUpstream((response) => void response.end("{}"), { models });
  await using proxy = await startTestProxy({ upstream: upstream.url });
  const input = [{ role: "user", content: [image] }];
  const { headers } = await send(proxy.port, "/v1/responses", json({ model, input }));
  const { input: sent } = JSON.parse(upstream.seen.at(-1)?.body ?? "");
  expect(sent[0].content[0].type).toBe(seen ? "input_image" : "input_text");
  expect(headers["x-lmstack-rewritten"]?.includes("images-as-text")).toBe(!seen);
});
