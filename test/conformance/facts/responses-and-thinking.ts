/** `/v1/responses`, and which switches for thinking count. */
import type { Fact } from "../fact.ts";
import type { Answer, Place } from "../place.ts";
import { streamEvents } from "../place.ts";
import type { Scratch } from "../scratch.ts";
import { assert, shape } from "./words.ts";

const docs = "docs 1_developer/3_openai-compat";
const translated = "the proxy translates Codex's tools to flat functions and back";
const switches = "the proxy sets the switch that counts on each endpoint, and cuts out what comes all the same";
const responses = "/v1/responses";
const chat = "/v1/chat/completions";
const passedOn = "passed on, translated where Codex's tools and history need it";

const tool = (more: Readonly<Record<string, unknown>> = {}) => ({
  type: "function",
  name: "get_time",
  description: "Tells the time.",
  parameters: { type: "object", properties: {} },
  ...more,
});

/** Fields of the error that a refusal tells. */
function refused({ status, json }: Answer, param: string, message?: RegExp): void {
  assert.equal(status, 400, JSON.stringify(json));
  assert.equal(json.error.param, param);
  if (message !== undefined) assert.match(json.error.message, message);
}

/** Reasoning tokens of an answer, by its dialect. */
function reasoningTokens({ json }: Answer): number {
  return (
    json.usage?.output_tokens_details?.reasoning_tokens ??
    json.usage?.completion_tokens_details?.reasoning_tokens ??
    json.stats?.reasoning_output_tokens ??
    0
  );
}

const thinks = async (place: Place, path: string, more?: Readonly<Record<string, unknown>>): Promise<boolean> => {
  const answer = await place.ask(path, more);
  assert.equal(answer.status, 200, answer.text);
  return reasoningTokens(answer) > 0;
};

const counts = (path: string, more: Readonly<Record<string, unknown>>) => async (place: Place) =>
  assert.equal(await thinks(place, path, more), false, "it thought");

const countsNot = (path: string, more: Readonly<Record<string, unknown>>) => async (place: Place) =>
  assert.equal(await thinks(place, path, more), true, "it did not think");

async function served(scratch: Scratch): Promise<void> {
  await scratch.load("X", "-c", "8192");
  await scratch.serve();
}

export const responsesAndThinking: readonly Fact[] = [
  {
    id: "LMS-241",
    words: '`/v1/responses` answers `{id: "resp_…", object: "response", status, output, usage}`',
    source: docs,
    lmstack: passedOn,
    needs: "model",
    reads: async (place) => {
      const { status, json } = await place.ask(responses);
      assert.equal(status, 200);
      assert.match(json.id, /^resp_/);
      shape(json, { object: "string", status: "string", output: "array", usage: "object" });
      assert.ok(json.output.some((item: { type: string }) => item.type === "message" || item.type === "reasoning"));
    },
  },
  {
    id: "LMS-242",
    words: "its stream has response.created first and response.completed last",
    source: docs,
    lmstack: passedOn,
    needs: "model",
    reads: async (place) => {
      const types = streamEvents((await place.ask(responses, { stream: true, max_output_tokens: 2000 })).text).map(
        ({ data }) => data.type,
      );
      assert.deepEqual([types[0], types.at(-1)], ["response.created", "response.completed"]);
      assert.ok(types.includes("response.output_text.delta"), types.join(" "));
      assert.ok(types.includes("response.output_item.added"));
    },
  },
  {
    id: "LMS-243",
    words: "the arguments of a call come whole in `response.function_call_arguments.done`, without a delta before it",
    source: "seen 2026-07-09",
    lmstack: "the proxy takes both forms, and Codex gets what it reads",
    changes: async (scratch) => {
      await served(scratch);
      const { text } = await scratch.ask(responses, {
        stream: true,
        max_output_tokens: 2000,
        input: "Call get_time once.",
        tools: [tool()],
        tool_choice: "required",
        reasoning: { effort: "none" },
      });
      const types = streamEvents(text).map(({ data }) => data.type);
      assert.ok(types.includes("response.function_call_arguments.done"), types.join(" "));
      assert.ok(!types.includes("response.function_call_arguments.delta"));
    },
  },
  {
    id: "LMS-244",
    words: 'a reasoning item is `{type: "reasoning", summary: [], content: [{type: "reasoning_text", text}]}`',
    source: "BT#1188",
    lmstack: "cut out where thinking is off",
    needs: "thinker",
    reads: async (place) => {
      const { json } = await place.ask(responses);
      const item = json.output.find((candidate: { type: string }) => candidate.type === "reasoning");
      assert.deepEqual([item?.summary, item?.content[0].type], [[], "reasoning_text"]);
    },
  },
  {
    id: "LMS-245",
    words: "reasoning streams end with response.reasoning_text.done",
    source: "earendil-works/pi#4193",
    lmstack: "cut out where thinking is off",
    needs: "thinker",
    reads: async (place) => {
      const { text } = await place.ask(responses, { stream: true, max_output_tokens: 2000 });
      assert.ok(streamEvents(text).some(({ data }) => data.type === "response.reasoning_text.done"));
    },
  },
  {
    id: "LMS-246",
    words: "`previous_response_id` goes on from an answer",
    source: docs,
    lmstack: "the proxy keeps the ids that clients know",
    needs: "model",
    reads: async (place) => {
      const first = (await place.ask(responses)).json;
      const second = await place.ask(responses, { previous_response_id: first.id, input: "And below 20?" });
      assert.equal(second.status, 200);
      assert.ok(second.json.usage.input_tokens > first.usage.input_tokens - first.usage.output_tokens);
    },
  },
  {
    id: "LMS-247",
    words: "an unknown `previous_response_id` is 400 with code `previous_response_not_found`",
    source: docs,
    lmstack: "told to the client as it is",
    needs: "model",
    reads: async (place) => {
      const { status, json } = await place.ask(responses, { previous_response_id: "resp_0000" });
      assert.deepEqual([status, json.error.code], [400, "previous_response_not_found"]);
    },
  },
  {
    id: "LMS-248",
    words: "instructions are not inherited along the chain",
    source: "seen",
    lmstack: "Codex sends them every time",
    needs: "model",
    reads: async (place) => {
      const instructions = "Be brief and exact. ".repeat(30);
      const first = (await place.ask(responses, { instructions, max_output_tokens: 4 })).json;
      const next = (await place.ask(responses, { previous_response_id: first.id, input: "Hi", max_output_tokens: 4 }))
        .json;
      assert.ok(
        next.usage.input_tokens < first.usage.input_tokens,
        `${next.usage.input_tokens} tokens after ${first.usage.input_tokens}`,
      );
    },
  },
  {
    id: "LMS-249",
    words: "tools are flat functions: the nested form is 400 `tools.0.name` Required",
    source: "BT#1383",
    lmstack: translated,
    needs: "model",
    reads: async (place) => {
      const nested = {
        type: "function",
        function: { name: "get_time", parameters: { type: "object", properties: {} } },
      };
      refused(await place.ask(responses, { tools: [nested] }), "tools.0.name", /Required/);
    },
  },
  {
    id: "LMS-250",
    words: "a tool's `parameters.type` must be `object`",
    source: "seen",
    lmstack: translated,
    needs: "model",
    reads: async (place) => {
      const { status, text } = await place.ask(responses, { tools: [tool({ parameters: { type: "string" } })] });
      assert.equal(status, 400);
      assert.match(text, /Invalid discriminator value\. Expected 'object'/);
    },
  },
  {
    id: "LMS-251",
    words: "a tool of type `namespace` is 400 `Invalid` at `tools.N.type`",
    source: "BT#1810, BT#1812, lms#537",
    version: "0.0.11 to 0.0.12, later not verified",
    lmstack: translated,
    llmster: "0.0.12-1",
    changes: async (scratch) => {
      await served(scratch);
      const tools = [tool(), { type: "namespace", name: "mcp", tools: [tool()] }];
      const answer = await scratch.ask(responses, { tools });
      refused(answer, "tools.1.type", /^Invalid$/);
      assert.equal(answer.json.error.code, "invalid_string");
    },
  },
  {
    id: "LMS-252",
    words: "any other tool type is 400 `Expected 'function' | 'mcp'`",
    source: "BT#1383",
    version: "0.0.0 and before",
    lmstack: translated,
    llmster: "0.0.0-1",
    changes: async (scratch) => {
      await served(scratch);
      const answer = await scratch.ask(responses, { tools: [{ type: "web_search" }] });
      refused(answer, "tools.0.type", /Expected 'function' \| 'mcp'/);
      assert.equal(answer.json.error.code, "invalid_union_discriminator");
    },
  },
  {
    id: "LMS-253",
    words: "`text: {}` without a format is 400 `text.format` Required",
    source: "BT#1576",
    version: "0.0.5",
    lmstack: "the proxy completes it",
    needs: "model",
    reads: async (place) => refused(await place.ask(responses, { text: {} }), "text.format", /Required/),
  },
  {
    id: "LMS-254",
    words: "`json_schema` in `text.format` is taken and not honoured",
    source: "BT#1396",
    lmstack: "nothing: passed on as it is",
    onlyStandIn: "what a model says without a grammar is chance",
    changes: async (scratch) => {
      await served(scratch);
      const format = {
        type: "json_schema",
        name: "n",
        strict: true,
        schema: { type: "object", properties: { n: { type: "number" } } },
      };
      const { status, json } = await scratch.ask(responses, { text: { format }, reasoning: { effort: "none" } });
      assert.equal(status, 200);
      const said = json.output.at(-1).content[0].text as string;
      assert.throws(() => JSON.parse(said));
    },
  },
  {
    id: "LMS-255",
    words: "function_call and function_call_output items are taken as history",
    source: "seen",
    lmstack: "what everything of Codex's history becomes",
    needs: "model",
    reads: async (place) => {
      const input = [
        { role: "user", content: "What time is it?" },
        { type: "function_call", call_id: "call_1", name: "get_time", arguments: "{}" },
        { type: "function_call_output", call_id: "call_1", output: "Output:\n12:00" },
      ];
      assert.equal((await place.ask(responses, { input, tools: [tool()], max_output_tokens: 8 })).status, 200);
    },
  },
  {
    id: "LMS-256",
    words: '`input: ""` with one output token is taken: Codex warms a model up with it',
    source: "codex codex-rs/lmstudio/src/client.rs",
    lmstack: "the launcher uses a provider of its own; the warm-up passes all the same",
    needs: "model",
    reads: async (place) => assert.equal((await place.ask(responses, { input: "", max_output_tokens: 1 })).status, 200),
  },
  {
    id: "LMS-257",
    words: "an answer that reached `max_output_tokens` is incomplete with that reason",
    source: docs,
    lmstack: "told to the client as it is",
    needs: "model",
    reads: async (place) => {
      const { json } = await place.ask(responses, { max_output_tokens: 1 });
      assert.deepEqual([json.status, json.incomplete_details?.reason], ["incomplete", "max_output_tokens"]);
    },
  },
  {
    id: "LMS-261",
    words: "a model that can think does so unless it is told not to",
    source: "lmstudio-js lms-kv-config/src/schema.ts (enableThinking true)",
    lmstack: switches,
    needs: "thinker",
    reads: async (place) => {
      for (const path of [responses, chat]) assert.equal(await thinks(place, path), true, `${path}: it did not think`);
    },
  },
  {
    id: "LMS-262",
    words: '`reasoning_effort: "none"` on /v1/chat/completions switches thinking off',
    source: "staff in BT#2057; webai-at-home#192",
    version: "0.0.8 and later",
    lmstack: switches,
    needs: "thinker",
    reads: counts(chat, { reasoning_effort: "none" }),
  },
  {
    id: "LMS-263",
    words: "so it does on /api/v0/chat/completions",
    source: "staff in BT#2057",
    lmstack: switches,
    needs: "thinker",
    reads: counts("/api/v0/chat/completions", { reasoning_effort: "none" }),
  },
  {
    id: "LMS-264",
    words: '`reasoning: {effort: "none"}` on /v1/responses switches thinking off',
    source: "staff in BT#2057; BT#988; seen",
    lmstack: switches,
    needs: "thinker",
    reads: counts(responses, { reasoning: { effort: "none" } }),
  },
  {
    id: "LMS-265",
    words: "a flat `reasoning_effort` on /v1/responses is ignored",
    source: "seen",
    lmstack: switches,
    needs: "thinker",
    reads: countsNot(responses, { reasoning_effort: "none" }),
  },
  {
    id: "LMS-266",
    words: '`reasoning: "off"` on /api/v1/chat switches thinking off',
    source: "docs 1_developer/2_rest; staff",
    lmstack: switches,
    needs: "thinker",
    reads: counts("/api/v1/chat", { reasoning: "off" }),
  },
  {
    id: "LMS-267",
    words: "`reasoning` on /api/v1/chat is an error for a model without that option",
    source: "docs 1_developer/2_rest",
    lmstack: "sets it only where `/api/v1/models` lists the option",
    traps: { reasoningNotRecognised: true },
    changes: async (scratch) => {
      await served(scratch);
      assert.equal((await scratch.ask("/api/v1/chat", { reasoning: "off" })).status, 400);
    },
  },
  {
    id: "LMS-268",
    words: "`chat_template_kwargs: {enable_thinking: false}` is taken and dropped",
    source: "webai-at-home#192, BT#632, BT#2195",
    lmstack: switches,
    needs: "thinker",
    reads: countsNot(chat, { chat_template_kwargs: { enable_thinking: false } }),
  },
  {
    id: "LMS-269",
    words: "`enable_thinking` and `enableThinking` at the top are ignored",
    source: "BT#1990",
    lmstack: switches,
    needs: "thinker",
    reads: countsNot(chat, { enable_thinking: false, enableThinking: false }),
  },
  {
    id: "LMS-270",
    words: '`reasoning_effort: "off"` is ignored',
    source: "BT#2413",
    version: "0.0.21",
    lmstack: switches,
    needs: "thinker",
    reads: countsNot(chat, { reasoning_effort: "off" }),
  },
  {
    id: "LMS-271",
    words: "`/api/v1/models` tells `capabilities.reasoning.allowed_options` and its default",
    source: "changelog 0.4.8; docs 1_developer/2_rest",
    lmstack: "read before a switch is set",
    needs: "thinker",
    reads: async (place) => {
      const { models } = (await place.get("/api/v1/models")).json;
      const mine = models.find((model: { loaded_instances: { id: string }[] }) =>
        model.loaded_instances.some(({ id }) => id === place.identifier),
      );
      assert.ok(mine.capabilities.reasoning.allowed_options.includes("off"));
      assert.equal(typeof mine.capabilities.reasoning.default, "string");
    },
  },
  {
    id: "LMS-272",
    words: "a sideloaded model may not be recognised: no option is listed, and no request switches thinking off",
    source: "BT#1613, BT#2195, BT#2284",
    lmstack:
      "the proxy learns from an answer that thought, prefills on chat and cuts thoughts out; `up` fails when the model still thinks",
    traps: { reasoningNotRecognised: true },
    changes: async (scratch) => {
      await served(scratch);
      await countsNot(chat, { reasoning_effort: "none" })(scratch);
      await countsNot(responses, { reasoning: { effort: "none" } })(scratch);
      assert.doesNotMatch((await scratch.get("/api/v1/models")).text, /allowed_options/);
    },
  },
  {
    id: "LMS-273",
    words: "the model's default `enableThinking: false` switches thinking off for every request",
    source: "seen",
    lmstack: "not written yet: the proxy's switches come first",
    changes: async (scratch) => {
      await scratch.modelDefaults({}, { "llm.prediction.reasoning.enableThinking": false });
      await served(scratch);
      for (const path of [responses, chat]) assert.equal(await thinks(scratch, path), false, `${path}: it thought`);
    },
  },
  {
    id: "LMS-274",
    words: "thoughts are in `reasoning_content`, apart from the answer",
    source: "seen (separateReasoningContentInAPI)",
    lmstack: "cut out where thinking is off",
    needs: "thinker",
    reads: async (place) => {
      const { message } = (await place.ask(chat)).json.choices[0];
      assert.ok((message.reasoning_content ?? message.reasoning ?? "").length > 0);
      assert.doesNotMatch(message.content, /<think>/);
    },
  },
  {
    id: "LMS-275",
    words: "with `separateReasoningContentInAPI` off they are in the answer's text, between tags",
    source: "seen",
    lmstack: "the proxy cuts tags out too",
    onlyStandIn: "it takes a model that thinks",
    changes: async (scratch) => {
      await scratch.mergeJson("settings.json", {
        downloadsFolder: scratch.file("models"),
        developer: { separateReasoningContentInAPI: false },
      });
      await served(scratch);
      assert.match((await scratch.ask(chat)).json.choices[0].message.content, /<think>[\s\S]*<\/think>/);
    },
  },
  {
    id: "LMS-276",
    words: "`usage.completion_tokens_details.reasoning_tokens` counts them",
    source: "changelog 0.4.8",
    version: "0.0.8 and later",
    lmstack: "the proof after every `up` wants 0",
    needs: "thinker",
    reads: async (place) => {
      const { usage } = (await place.ask(chat)).json;
      assert.ok(usage.completion_tokens_details.reasoning_tokens > 0);
      assert.ok(usage.completion_tokens_details.reasoning_tokens <= usage.completion_tokens);
    },
  },
  {
    id: "LMS-277",
    words: "before app 0.4.8 `reasoning_effort` on chat is ignored",
    source: "changelog 0.4.8",
    version: "before 0.0.8",
    lmstack: "the proxy learns from an answer that thought, and prefills",
    llmster: "0.0.7-1",
    changes: async (scratch) => {
      await served(scratch);
      await countsNot(chat, { reasoning_effort: "none" })(scratch);
      await counts(responses, { reasoning: { effort: "none" } })(scratch);
    },
  },
  {
    id: "LMS-278",
    words: "before app 0.4.1 there is no /v1/messages: 200 with the error of an unknown path",
    source: "changelog 0.4.1",
    version: "before 0.0.1",
    lmstack: "goes by the shape of an answer",
    llmster: "0.0.0-1",
    changes: async (scratch) => {
      await served(scratch);
      assert.deepEqual((await scratch.ask("/v1/messages")).json, {
        error: "Unexpected endpoint or method. (POST /v1/messages)",
      });
    },
  },
  {
    id: "LMS-279",
    words: "thinking may come back with another version: no request and no default switches it off",
    source: "BT#2046, BT#1933, BT#2284",
    version: "0.0.14 and 0.0.17, with edited templates",
    lmstack: "`up` proves every model after a change and fails when it thinks; the proxy cuts thoughts out meanwhile",
    traps: { byVersion: { "0.0.26-1": { thinksAnyway: true } } },
    changes: async (scratch) => {
      const effort = { reasoning_effort: "none" };
      await served(scratch);
      await counts(chat, effort)(scratch);
      await scratch.daemonDown();
      const { installInto } = await import("../../lmstudio-sim/install.ts");
      await installInto(scratch.userHome, {
        version: "0.0.26-1",
        traps: { byVersion: { "0.0.26-1": { thinksAnyway: true } } },
      });
      await scratch.modelDefaults({}, { "llm.prediction.reasoning.enableThinking": false });
      await served(scratch);
      await countsNot(chat, effort)(scratch);
      await countsNot(responses, { reasoning: { effort: "none" } })(scratch);
    },
  },
];
