/** Models that are loaded, unloaded and downloaded over HTTP. */
import type { Fact } from "../fact.ts";
import { servedKeys } from "./served.ts";
import { rest } from "./sources.ts";
import { assert, shape } from "./words.ts";

const closed = "the proxy has no such path: models change by declaration";

export const modelManagement: readonly Fact[] = [
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
];
