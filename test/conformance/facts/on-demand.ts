/** Loading on demand: a request for a model that is downloaded and not loaded. */
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { ask, servedKeys } from "./served.ts";
import { assert } from "./words.ts";

const jit = "docs ttl-and-auto-evict.md";
const noJit = "just-in-time loading is switched off; the proxy lists declared models only";

const listed = async (scratch: Scratch): Promise<string[]> =>
  (await scratch.get("/v1/models")).json.data.map((model: { id: string }) => model.id);

const switchOff = (scratch: Scratch): Promise<void> =>
  scratch.writeJson(".internal/http-server-config.json", { justInTimeModelLoading: false });

export const onDemand: readonly Fact[] = [
  {
    id: "LMS-204",
    words: "with just-in-time loading on, `/v1/models` lists everything downloaded",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      const keys = await servedKeys(scratch);
      const ids = await listed(scratch);
      for (const key of keys) assert.ok(ids.includes(key), `${key} is not in ${ids}`);
    },
  },
  {
    id: "LMS-205",
    words: "with just-in-time loading off, `/v1/models` lists what is loaded",
    source: jit,
    lmstack: noJit,
    changes: async (scratch) => {
      await switchOff(scratch);
      await scratch.load("X");
      await scratch.serve();
      assert.deepEqual(await listed(scratch), ["X"]);
    },
  },
  {
    id: "LMS-206",
    words: "with just-in-time loading off, a request for a model that is not loaded is refused",
    source: jit,
    lmstack: "the proxy waits for a declared model and refuses others in words",
    changes: async (scratch) => {
      await switchOff(scratch);
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
];
