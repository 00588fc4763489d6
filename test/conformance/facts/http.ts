/** The HTTP server: endpoints, lists, model management, and what it refuses. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Fact } from "../fact.ts";
import type { Place } from "../place.ts";
import { streamEvents } from "../place.ts";
import type { Scratch } from "../scratch.ts";
import { freePort, listensOn, loopback, until } from "../scratch.ts";
import { assert, shape } from "./words.ts";

const rest = "docs 1_developer/2_rest";
const openai = "docs 1_developer/3_openai-compat";
const jit = "docs ttl-and-auto-evict.md";
const closed = "the proxy has no such path: models change by declaration";
const noJit = "just-in-time loading is switched off; the proxy lists declared models only";
const passed = "passed through, with thinking switched off in it";

/** Where both are loaded on demand by their keys. */
async function servedKeys(scratch: Scratch): Promise<[string, string]> {
  await scratch.serve();
  const listed = (await scratch.json("ls")) as { path: string; modelKey: string }[];
  const keyOf = (path: string) => listed.find((model) => model.path === path)?.modelKey as string;
  return [keyOf(scratch.models[0].path), keyOf(scratch.models[1].path)];
}

const ask = (scratch: Scratch, model: string, more: Readonly<Record<string, unknown>> = {}) =>
  scratch.post("/v1/chat/completions", {
    model,
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 8,
    ...more,
  });

/** First message back after the first one sent, on a WebSocket of `path`; null when the upgrade is refused. */
function firstFrame(place: Place, path: string, said: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: "127.0.0.1",
      port: place.port as number,
      path,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": randomBytes(16).toString("base64"),
      },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      response.resume();
      resolve(null);
    });
    call.on("upgrade", (_response, socket) => {
      const text = Buffer.from(JSON.stringify(said));
      // A masked text frame of at most 125 bytes, with a mask of zeros.
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
      socket.once("data", (frame: Buffer) => {
        socket.destroy();
        resolve(JSON.parse(frame.subarray(2, 2 + ((frame[1] as number) & 0x7f)).toString("utf8")));
      });
    });
    call.end();
  });
}

export const http: readonly Fact[] = [
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
    id: "LMS-203",
    words: '`GET /v1/models` is OpenAI\'s list: `{object: "list", data: [{id, object: "model"}]}`',
    source: openai,
    lmstack: "the proxy makes its own list, for Codex also a catalog",
    needs: "model",
    reads: async (place) => {
      const { object, data } = (await place.get("/v1/models")).json;
      assert.equal(object, "list");
      for (const model of data) assert.deepEqual([typeof model.id, model.object], ["string", "model"]);
      assert.ok(data.some((model: { id: string }) => model.id === place.identifier));
    },
  },
  {
    id: "LMS-204",
    words: "with just-in-time loading on, `/v1/models` lists everything downloaded",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      const keys = await servedKeys(scratch);
      const ids = (await scratch.get("/v1/models")).json.data.map((model: { id: string }) => model.id);
      for (const key of keys) assert.ok(ids.includes(key), `${key} is not in ${ids}`);
    },
  },
  {
    id: "LMS-205",
    words: "with just-in-time loading off, `/v1/models` lists what is loaded",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      await scratch.writeJson(".internal/http-server-config.json", { justInTimeModelLoading: false });
      await scratch.load("X");
      await scratch.serve();
      assert.deepEqual(
        (await scratch.get("/v1/models")).json.data.map((model: { id: string }) => model.id),
        ["X"],
      );
    },
  },
  {
    id: "LMS-206",
    words: "with just-in-time loading off, a request for a model that is not loaded is refused",
    source: jit,
    lmstack: "the proxy waits for a declared model and refuses others in words",
    changes: async (scratch) => {
      await scratch.writeJson(".internal/http-server-config.json", { justInTimeModelLoading: false });
      const [key] = await servedKeys(scratch);
      assert.ok((await ask(scratch, key)).status >= 400);
    },
  },
  {
    id: "LMS-207",
    words: "a request for a downloaded model loads it: 4 slots, a time to live of 60 minutes",
    source: `${jit}; BT#2061`,
    lmstack: noJit,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      assert.equal((await ask(scratch, key)).status, 200);
      const [{ parallel, ttlMs }] = await scratch.json("ps");
      assert.deepEqual([parallel, ttlMs], [4, 3_600_000]);
    },
  },
  {
    id: "LMS-208",
    words: "`ttl` in such a request is the time to live in seconds",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      await ask(scratch, key, { ttl: 300 });
      assert.equal((await scratch.json("ps"))[0].ttlMs, 300_000);
    },
  },
  {
    id: "LMS-209",
    words: "at most one model loaded on demand stays: the next one evicts it",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      const [one, other] = await servedKeys(scratch);
      await ask(scratch, one);
      await ask(scratch, other);
      assert.deepEqual(await scratch.loaded(), [other]);
    },
  },
  {
    id: "LMS-210",
    words: "a model loaded with `lms load` is not evicted",
    source: jit,
    lmstack: "loads every declared model with `lms load`",
    changes: async (scratch) => {
      await scratch.load("X");
      const [, other] = await servedKeys(scratch);
      await ask(scratch, other);
      assert.ok((await scratch.loaded()).includes("X"));
    },
  },
  {
    id: "LMS-211",
    words: "defaults of one model apply when it is loaded on demand, too",
    source: "seen",
    lmstack: noJit,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      await scratch.modelDefaults({ "llm.load.contextLength": 1536 });
      await ask(scratch, key);
      assert.equal((await scratch.json("ps"))[0].contextLength, 1536);
    },
  },
  {
    id: "LMS-212",
    words: "`GET /api/v0/models` tells state and loaded_context_length",
    source: rest,
    lmstack: "asked where `/api/v1/models` is not known",
    needs: "model",
    reads: async (place) => {
      const { data } = (await place.get("/api/v0/models")).json;
      const mine = data.find((model: { id: string }) => model.id === place.identifier);
      shape(mine, { state: "string", loaded_context_length: "number", max_context_length: "number" });
      assert.equal(mine.state, "loaded");
    },
  },
  {
    id: "LMS-213",
    words: "`GET /api/v0/models/{id}` is one entry of that list",
    source: rest,
    lmstack: "let through",
    needs: "model",
    reads: async (place) => {
      const { json } = await place.get(`/api/v0/models/${encodeURIComponent(place.identifier)}`);
      assert.deepEqual([json.id, json.state], [place.identifier, "loaded"]);
    },
  },
  {
    id: "LMS-214",
    words:
      "`GET /api/v1/models` lists downloaded models with key, size_bytes, max_context_length, format and capabilities",
    source: rest,
    lmstack: "what is loaded, without a call of `lms`",
    needs: "model",
    reads: async (place) => {
      const { models } = (await place.get("/api/v1/models")).json;
      shape(
        models.find((model: { type: string }) => model.type === "llm"),
        {
          type: "string",
          publisher: "string",
          key: "string",
          display_name: "string",
          size_bytes: "number",
          loaded_instances: "array",
          max_context_length: "number",
          format: "string",
          capabilities: "object",
        },
      );
    },
  },
  {
    id: "LMS-215",
    words: "its `loaded_instances` tell id, context_length and parallel",
    source: rest,
    lmstack: "compared with the declaration on every look",
    needs: "model",
    reads: async (place) => {
      const { models } = (await place.get("/api/v1/models")).json;
      const mine = models
        .flatMap((model: { loaded_instances: { id: string; config: object }[] }) => model.loaded_instances)
        .find((instance: { id: string }) => instance.id === place.identifier);
      shape(mine.config, { context_length: "number", parallel: "number|undefined" });
    },
  },
  {
    id: "LMS-216",
    words: "`/api/v1/models/load` answers type, instance_id, load_time_seconds and status `loaded`",
    source: rest,
    lmstack: closed,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      const { status, json } = await scratch.post("/api/v1/models/load", { model: key });
      assert.equal(status, 200);
      shape(json, { type: "string", instance_id: "string", load_time_seconds: "number", status: "string" });
      assert.deepEqual([json.type, json.status], ["llm", "loaded"]);
    },
  },
  {
    id: "LMS-217",
    words: "with `echo_load_config` it also answers `load_config`",
    source: rest,
    lmstack: closed,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      const { json } = await scratch.post("/api/v1/models/load", {
        model: key,
        context_length: 1024,
        echo_load_config: true,
      });
      assert.equal(json.load_config.context_length, 1024);
    },
  },
  {
    id: "LMS-218",
    words: "it refuses keys that it does not know: parallel, identifier, ttl",
    source: "BT#2024",
    lmstack: "loads with `lms load`, which takes them",
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      for (const more of [{ parallel: 1 }, { identifier: "X" }, { ttl: 60 }])
        assert.equal(
          (await scratch.post("/api/v1/models/load", { model: key, ...more })).status,
          400,
          JSON.stringify(more),
        );
      assert.deepEqual(await scratch.loaded(), []);
    },
  },
  {
    id: "LMS-219",
    words: "it is not idempotent: twice makes two instances",
    source: rest,
    lmstack: closed,
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      for (let times = 0; times < 2; times += 1)
        await scratch.post("/api/v1/models/load", { model: key, context_length: 512 });
      assert.equal((await scratch.loaded()).length, 2);
    },
  },
  {
    id: "LMS-220",
    words: "a model that it does not know is 404 `model_not_found`",
    source: rest,
    lmstack: closed,
    changes: async (scratch) => {
      await scratch.serve();
      const { status, json } = await scratch.post("/api/v1/models/load", { model: "nobody" });
      assert.deepEqual([status, json.error.code], [404, "model_not_found"]);
    },
  },
  {
    id: "LMS-221",
    words: "`/api/v1/models/unload` takes an instance_id",
    source: rest,
    lmstack: closed,
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const { status, json } = await scratch.post("/api/v1/models/unload", { instance_id: "X" });
      assert.deepEqual([status, json.instance_id, await scratch.loaded()], [200, "X", []]);
    },
  },
  {
    id: "LMS-222",
    words: "`/api/v1/models/download` answers a status, and a job_id while it runs",
    source: rest,
    lmstack: closed,
    onlyStandIn: "it asks Hugging Face",
    changes: async (scratch) => {
      const [key] = await servedKeys(scratch);
      const { status, json } = await scratch.post("/api/v1/models/download", { model: key });
      assert.deepEqual([status, json.status], [200, "already_downloaded"]);
    },
  },
  {
    id: "LMS-223",
    words:
      "WebSockets at `/llm`, `/system` and others of the same port take a first frame with a client's identifier and passkey: `{success: true}`",
    source: "lmstudio-js LMStudioClient.ts, createAuthenticatedClientPort.ts",
    lmstack: "the proxy passes no upgrade on",
    needs: "server",
    reads: async (place) => {
      for (const path of ["/llm", "/system"]) {
        const said = { authVersion: 1, clientIdentifier: "conformance", clientPasskey: "conformance" };
        assert.deepEqual(await firstFrame(place, path, said), { success: true }, path);
      }
    },
  },
  {
    id: "LMS-224",
    words: "a first frame of another form is answered `{success: false, error}`",
    source: "lmstudio-js createAuthenticatedClientPort.ts",
    lmstack: "the proxy passes no upgrade on",
    needs: "server",
    reads: async (place) => {
      const answer = (await firstFrame(place, "/llm", { hello: 1 })) as { success: boolean };
      assert.equal(answer.success, false);
      shape(answer, { error: "string" });
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
    id: "LMS-235",
    words: "a client that goes away ends its generation",
    source: "seen",
    lmstack: "the proxy closes its own connection when the client's closes",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const leaving = new AbortController();
      const asked = fetch(`http://127.0.0.1:${scratch.port}/v1/chat/completions`, {
        method: "POST",
        signal: leaving.signal,
        body: JSON.stringify({
          model: "X",
          stream: true,
          messages: [{ role: "user", content: "Write a very long story. sim:tokens=20000 sim:pace=5" }],
        }),
      });
      await (await asked).body?.getReader().read();
      leaving.abort();
      await until(async () => (await scratch.json("ps"))[0].status === "idle");
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
    id: "LMS-237",
    words: "the daemon may crash in the middle of an answer: the connection breaks and its server is gone",
    source: "lms#511, lms#588",
    lmstack: "the client gets an end that it can read; the supervisor starts daemon, server and models again",
    traps: { crashAfterTokens: 5 },
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      await assert.rejects(ask(scratch, "X"));
      await until(async () => !(await scratch.daemonRuns()));
    },
  },
  {
    id: "LMS-238",
    words: "the daemon may crash after it has served for a while",
    source: "lms#511, lms#588",
    lmstack: "the supervisor starts daemon, server and models again",
    traps: { crashAfterRequests: 3 },
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      assert.equal((await ask(scratch, "X")).status, 200);
      assert.equal((await ask(scratch, "X")).status, 200);
      await ask(scratch, "X").catch(() => {});
      await until(async () => !(await scratch.daemonRuns()));
    },
  },
  {
    id: "LMS-239",
    words: "the server may hang: it takes connections and answers nothing, the greeting neither",
    source: "lms#588, BT#1967",
    lmstack: "three silent greetings in a row count as gone",
    traps: { serverHangs: true },
    changes: async (scratch) => {
      const port = await freePort();
      assert.equal((await scratch.lms("server", "start", "--port", String(port))).code, 1);
      assert.deepEqual(await scratch.json("server", "status"), { running: false, port });
      assert.deepEqual(await listensOn(port), [loopback]);
      assert.ok(await scratch.daemonRuns());
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
];
