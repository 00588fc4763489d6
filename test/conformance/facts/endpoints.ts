/** What the server answers on its paths, in each dialect, and how it refuses. */
import type { Fact } from "../fact.ts";
import { streamEvents } from "../place.ts";
import { ask, served } from "./served.ts";
import { openai, rest } from "./sources.ts";
import { assert, shape } from "./words.ts";

const passed = "passed through, with thinking switched off in it";

export const endpoints: readonly Fact[] = [
  {
    id: "LMS-201",
    words: 'an unknown path answers 200 with `{"error":"Unexpected endpoint or method. (GET /x)"}`',
    source: "BT#618, BT#1323",
    lmstack: "goes by the shape of an answer, never by 200; the proxy answers 404 itself",
    needs: "server",
    reads: async (place) => {
      const { status, json } = await place.get("/x");
      assert.deepEqual([status, json], [200, { error: "Unexpected endpoint or method. (GET /x)" }]);
    },
  },
  {
    id: "LMS-202",
    words: "so does a known path with a wrong method",
    source: "BT#618, BT#1323",
    lmstack: "the proxy answers 405 itself",
    needs: "server",
    reads: async (place) => {
      const { status, json } = await place.get("/v1/responses");
      assert.deepEqual([status, json], [200, { error: "Unexpected endpoint or method. (GET /v1/responses)" }]);
    },
  },
  {
    id: "LMS-225",
    words: "`/v1/chat/completions` is OpenAI's: choices with a message, finish_reason, usage",
    source: openai,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const { status, json } = await place.ask("/v1/chat/completions");
      assert.equal(status, 200);
      assert.equal(json.object, "chat.completion");
      assert.equal(typeof json.choices[0].message.content, "string");
      shape(json.usage, { prompt_tokens: "number", completion_tokens: "number", total_tokens: "number" });
    },
  },
  {
    id: "LMS-226",
    words: "its stream ends with `data: [DONE]`; `include_usage` adds a chunk with usage and no choices",
    source: openai,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const { text } = await place.ask("/v1/chat/completions", {
        stream: true,
        stream_options: { include_usage: true },
      });
      const events = streamEvents(text);
      assert.equal(events.at(-1)?.data, "[DONE]");
      assert.ok(events.some(({ data }) => data.usage?.total_tokens > 0 && data.choices.length === 0));
    },
  },
  {
    id: "LMS-227",
    words: "`/v1/completions` takes a prompt and answers text",
    source: openai,
    lmstack: "passed through as it is",
    needs: "model",
    reads: async (place) => assert.equal(typeof (await place.ask("/v1/completions")).json.choices[0].text, "string"),
  },
  {
    id: "LMS-228",
    words: "`/v1/messages` is Anthropic's: content blocks, stop_reason, usage",
    source: "changelog 0.4.1; docs 1_developer",
    version: "0.0.1 and later",
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const { json } = await place.ask("/v1/messages");
      assert.deepEqual([json.type, json.role], ["message", "assistant"]);
      shape(json, { content: "array", stop_reason: "string", usage: "object" });
    },
  },
  {
    id: "LMS-229",
    words: "`/api/v0/chat/completions` is the chat endpoint with LM Studio's own statistics",
    source: rest,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const { json } = await place.ask("/api/v0/chat/completions");
      shape(json, { choices: "array", usage: "object", stats: "object", model_info: "object" });
    },
  },
  {
    id: "LMS-230",
    words: "`/api/v1/chat` answers model_instance_id, output items, stats and a response_id",
    source: rest,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const { json } = await place.ask("/api/v1/chat");
      shape(json, { model_instance_id: "string", output: "array", stats: "object", response_id: "string" });
    },
  },
  {
    id: "LMS-231",
    words: "its stream begins with chat.start and ends with chat.end, message.* and reasoning.* between",
    source: rest,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      const types = streamEvents((await place.ask("/api/v1/chat", { stream: true })).text).map(({ data }) => data.type);
      assert.deepEqual([types[0], types.at(-1)], ["chat.start", "chat.end"]);
      assert.ok(types.includes("message.delta") || types.includes("reasoning.delta"), types.join(" "));
    },
  },
  {
    id: "LMS-232",
    words: "`/api/v1/chat` with store off gives no response_id; it is on unless somebody says otherwise",
    source: rest,
    lmstack: passed,
    needs: "model",
    reads: async (place) => {
      assert.equal(typeof (await place.ask("/api/v1/chat")).json.response_id, "string");
      assert.equal((await place.ask("/api/v1/chat", { store: false })).json.response_id, undefined);
    },
  },
  {
    id: "LMS-233",
    words: "`/api/v1/chat` refuses a history of the assistant's: 400",
    source: rest,
    lmstack: "the client's own business",
    needs: "model",
    reads: async (place) => {
      const input = [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hello!" },
      ];
      assert.equal((await place.ask("/api/v1/chat", { input })).status, 400);
    },
  },
  {
    id: "LMS-234",
    words: "a request for a model that is not there is refused with a JSON error, not with 200",
    source: `${openai}; ${rest}`,
    lmstack: "the proxy refuses undeclared models first",
    needs: "server",
    reads: async (place) => {
      const { status, json } = await place.post("/v1/chat/completions", {
        model: "no/such/model",
        messages: [{ role: "user", content: "Hello" }],
      });
      assert.ok(status >= 400 && json.error !== undefined, `${status} ${JSON.stringify(json)}`);
    },
  },
  {
    id: "LMS-236",
    words: "a prompt that is longer than the context is refused, with the numbers in the text",
    source: "seen (opencode#2259, goose#11318)",
    lmstack: "the proxy tells Codex that the context is exceeded, in Codex's own code",
    changes: async (scratch) => {
      await scratch.load("X", "-c", "512", "--parallel", "1");
      await scratch.serve();
      const { status, text } = await ask(scratch, "X", { messages: [{ role: "user", content: "word ".repeat(2000) }] });
      assert.equal(status, 400);
      assert.match(text, /n_ctx|context length/);
    },
  },
  {
    id: "LMS-240",
    words:
      "without a token everything is answered: authentication is off until somebody switches it on in the application",
    source: "docs authentication.mdx; lms#489",
    lmstack: "LM Studio listens on loopback alone; keys are the proxy's",
    changes: async (scratch) => {
      await scratch.serve();
      for (const path of ["/v1/models", "/api/v1/models"]) assert.equal((await scratch.get(path)).status, 200, path);
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
];
