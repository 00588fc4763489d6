/** `/v1/responses`: what it answers, and what it takes and refuses. */
import type { Fact } from "../fact.ts";
import { type Answer, streamEvents } from "../place.ts";
import { served } from "./served.ts";
import { openai } from "./sources.ts";
import { assert, shape } from "./words.ts";

const translated = "the proxy translates Codex's tools to flat functions and back";
const passedOn = "passed on, translated where Codex's tools and history need it";
const path = "/v1/responses";

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

export const responses: readonly Fact[] = [
  {
    id: "LMS-241",
    words: '`/v1/responses` answers `{id: "resp_…", object: "response", status, output, usage}`',
    source: openai,
    lmstack: passedOn,
    needs: "model",
    reads: async (place) => {
      const { status, json } = await place.ask(path);
      assert.equal(status, 200);
      assert.match(json.id, /^resp_/);
      shape(json, { object: "string", status: "string", output: "array", usage: "object" });
      assert.ok(json.output.some((item: { type: string }) => item.type === "message" || item.type === "reasoning"));
    },
  },
  {
    id: "LMS-242",
    words: "its stream has response.created first and response.completed last",
    source: openai,
    lmstack: passedOn,
    needs: "model",
    reads: async (place) => {
      const types = streamEvents((await place.ask(path, { stream: true, max_output_tokens: 2000 })).text).map(
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
      const { text } = await scratch.ask(path, {
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
      const { json } = await place.ask(path);
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
      const { text } = await place.ask(path, { stream: true, max_output_tokens: 2000 });
      assert.ok(streamEvents(text).some(({ data }) => data.type === "response.reasoning_text.done"));
    },
  },
  {
    id: "LMS-246",
    words: "`previous_response_id` goes on from an answer",
    source: openai,
    lmstack: "the proxy keeps the ids that clients know",
    needs: "model",
    reads: async (place) => {
      const first = (await place.ask(path)).json;
      const second = await place.ask(path, { previous_response_id: first.id, input: "And below 20?" });
      assert.equal(second.status, 200);
      assert.ok(second.json.usage.input_tokens > first.usage.input_tokens - first.usage.output_tokens);
    },
  },
  {
    id: "LMS-247",
    words: "an unknown `previous_response_id` is 400 with code `previous_response_not_found`",
    source: openai,
    lmstack: "told to the client as it is",
    needs: "model",
    reads: async (place) => {
      const { status, json } = await place.ask(path, { previous_response_id: "resp_0000" });
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
      const first = (await place.ask(path, { instructions, max_output_tokens: 4 })).json;
      const next = (await place.ask(path, { previous_response_id: first.id, input: "Hi", max_output_tokens: 4 })).json;
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
      refused(await place.ask(path, { tools: [nested] }), "tools.0.name", /Required/);
    },
  },
  {
    id: "LMS-250",
    words: "a tool's `parameters.type` must be `object`",
    source: "seen",
    lmstack: translated,
    needs: "model",
    reads: async (place) => {
      const { status, text } = await place.ask(path, { tools: [tool({ parameters: { type: "string" } })] });
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
      const answer = await scratch.ask(path, { tools });
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
      const answer = await scratch.ask(path, { tools: [{ type: "web_search" }] });
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
    reads: async (place) => refused(await place.ask(path, { text: {} }), "text.format", /Required/),
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
      const { status, json } = await scratch.ask(path, { text: { format }, reasoning: { effort: "none" } });
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
      assert.equal((await place.ask(path, { input, tools: [tool()], max_output_tokens: 8 })).status, 200);
    },
  },
  {
    id: "LMS-256",
    words: '`input: ""` with one output token is taken: Codex warms a model up with it',
    source: "codex codex-rs/lmstudio/src/client.rs",
    lmstack: "the launcher uses a provider of its own; the warm-up passes all the same",
    needs: "model",
    reads: async (place) => assert.equal((await place.ask(path, { input: "", max_output_tokens: 1 })).status, 200),
  },
  {
    id: "LMS-257",
    words: "an answer that reached `max_output_tokens` is incomplete with that reason",
    source: openai,
    lmstack: "told to the client as it is",
    needs: "model",
    reads: async (place) => {
      const { json } = await place.ask(path, { max_output_tokens: 1 });
      assert.deepEqual([json.status, json.incomplete_details?.reason], ["incomplete", "max_output_tokens"]);
    },
  },
];
