/** The server's lists of models, in each dialect. */
import type { Fact } from "../fact.ts";
import { openai, rest } from "./sources.ts";
import { assert, shape } from "./words.ts";

export const modelLists: readonly Fact[] = [
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
];
