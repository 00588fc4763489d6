/** Which switches for thinking count on which endpoint, and where thoughts are. */
import type { Fact } from "../fact.ts";
import type { Answer, Place } from "../place.ts";
import { served } from "./served.ts";
import { rest } from "./sources.ts";
import { assert } from "./words.ts";

const switches = "the proxy sets the switch that counts on each endpoint, and cuts out what comes all the same";
const responses = "/v1/responses";
const chat = "/v1/chat/completions";

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

export const thinking: readonly Fact[] = [
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
    source: `${rest}; staff`,
    lmstack: switches,
    needs: "thinker",
    reads: counts("/api/v1/chat", { reasoning: "off" }),
  },
  {
    id: "LMS-267",
    words: "`reasoning` on /api/v1/chat is an error for a model without that option",
    source: rest,
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
    source: `changelog 0.4.8; ${rest}`,
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
    id: "LMS-279",
    words: "thinking may come back with another version: no request and no default switches it off",
    source: "BT#2046, BT#1933, BT#2284",
    version: "0.0.14 and 0.0.17, with edited templates",
    lmstack:
      "an upgrade that thinks where the version before did not is taken back by itself; `up` proves every model after any change",
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
