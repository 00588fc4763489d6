/** What `lms load` makes of a model: its name, its size, its flags and defaults, and how it fails. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { until } from "../scratch.ts";
import { only, ps } from "./ps.ts";
import { assert, ran } from "./words.ts";

const load = "lms src/subcommands/load.ts";
const looksAfter = "looks at what is loaded before and after";
const notUsed = "not used";
const defaults = "seen; lmstudio-js lms-kv-config/src/schema.ts";
const gib = 2 ** 30;
/** Should a call pass that has to be refused, it finds nothing. */
const none = "lmstack-conformance/none";

async function contextAndSlots(scratch: Scratch): Promise<[number, number | null]> {
  const { contextLength, parallel } = await only(scratch);
  return [contextLength, parallel];
}

export const loading: readonly Fact[] = [
  {
    id: "LMS-098",
    words: "a load tells its time, its size and the identifier on stderr",
    source: load,
    lmstack: "exit 0 and no line with `Error`, then it looks",
    changes: async (scratch) => {
      const { err } = await scratch.load("X");
      assert.match(err, /Model loaded successfully in [\d.]+s\.\n\([\d.]+ [KMG]iB\)\n/);
      assert.match(err, /To use the model in the API\/SDK, use the identifier "X"\.\n$/);
    },
  },
  {
    id: "LMS-099",
    words: "a load writes the bytes of its spinner to stdout",
    source: load,
    lmstack: "looks for the beginning of JSON in stdout",
    changes: async (scratch) => assert.ok((await scratch.load("X")).out.includes("\u001b")),
  },
  {
    id: "LMS-100",
    words: "a load that fails exits 1",
    source: load,
    lmstack: "after 5 failures the model is quarantined with the reason, the others go on",
    changes: async (scratch) => {
      await scratch.key();
      await rm(join(await realFolder(scratch), scratch.model.path));
      assert.equal((await scratch.lms("load", "--exact", scratch.model.path, "-y")).code, 1);
    },
  },
  {
    id: "LMS-101",
    words: "a second load of the same identifier makes `X:2`",
    source: "seen",
    lmstack: `${looksAfter}; a second instance of a declared one is unloaded`,
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("X");
      assert.deepEqual((await scratch.loaded()).sort(), ["X", "X:2"]);
    },
  },
  {
    id: "LMS-102",
    words: "without `--identifier` the instance is called by the model's key",
    source: load,
    lmstack: "names every instance",
    changes: async (scratch) => {
      const key = await scratch.key();
      await scratch.lms("load", "--exact", scratch.model.path, "-y");
      assert.deepEqual(await scratch.loaded(), [key]);
    },
  },
  {
    id: "LMS-103",
    words: "`--context-length` and `--parallel` are what `ps` shows afterwards",
    source: load,
    lmstack: looksAfter,
    changes: async (scratch) => {
      await scratch.load("X", "-c", "2048", "--parallel", "2");
      assert.deepEqual(await contextAndSlots(scratch), [2048, 2]);
    },
  },
  {
    id: "LMS-104",
    words: "without `--parallel` an instance has 4 slots",
    source: "lmstudio-js lms-kv-config/src/schema.ts",
    lmstack: "passes it every time",
    changes: async (scratch) => {
      await scratch.load("X");
      assert.equal((await only(scratch)).parallel, 4);
    },
  },
  {
    id: "LMS-105",
    words: "without `-c` the context is `defaultContextLength` of settings.json",
    source: "seen",
    lmstack: "passes it every time",
    changes: async (scratch) => {
      await scratch.mergeJson("settings.json", {
        downloadsFolder: scratch.file("models"),
        defaultContextLength: { type: "custom", value: 3072 },
      });
      await scratch.load("X");
      assert.equal((await only(scratch)).contextLength, 3072);
    },
  },
  {
    id: "LMS-106",
    words: "a load sets no time to live unless `--ttl` says one",
    source: load,
    lmstack: "never passes `--ttl`",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("Y", "--ttl", "600");
      assert.deepEqual((await ps(scratch)).map(({ identifier, ttlMs }) => [identifier, ttlMs]).sort(), [
        ["X", null],
        ["Y", 600_000],
      ]);
    },
  },
  {
    id: "LMS-107",
    words: "a time to live that has passed unloads the instance",
    source: "docs ttl-and-auto-evict.md",
    lmstack: "a declared model that is gone is loaded again",
    changes: async (scratch) => {
      await scratch.load("X", "--ttl", "1");
      await until(async () => (await scratch.loaded()).length === 0);
    },
  },
  {
    id: "LMS-108",
    words: "`-c`, `--parallel` and `--ttl` below 1 are refused by the parser",
    source: load,
    lmstack: "the spec refuses them first",
    needs: "daemon",
    reads: async (place) => {
      for (const flag of ["-c", "--parallel", "--ttl"])
        assert.equal((await place.lms("load", "--exact", none, flag, "0", "-y")).code, 1, flag);
    },
  },
  {
    id: "LMS-109",
    words: "`--gpu` is off, max or a number from 0 to 1",
    source: load,
    lmstack: "the spec says the same",
    needs: "daemon",
    reads: async (place) => {
      for (const share of ["2", "-1", "some"])
        assert.equal((await place.lms("load", "--exact", none, "--gpu", share, "-y")).code, 1, share);
    },
  },
  {
    id: "LMS-110",
    words: "there is no flag for the KV cache's type, flash attention or batches",
    source: "BT#665, BT#2024",
    lmstack: "not offered in the spec",
    needs: "daemon",
    reads: async (place) => {
      for (const flag of ["--flash-attention", "--kv-cache-type", "--eval-batch-size"])
        assert.match((await place.lms("load", "--exact", none, flag, "1", "-y")).err, /unknown option/, flag);
    },
  },
  {
    id: "LMS-111",
    words: "there are flags for speculative decoding",
    source: `${load}, commits of 2026-06-09`,
    lmstack: notUsed,
    needs: "nothing",
    reads: async (place) => {
      const help = (await place.lms("load", "--help")).out;
      for (const flag of ["--speculative-draft-mtp", "--speculative-draft-model", "--speculative-draft-max-tokens"])
        assert.ok(help.includes(flag), `${flag} is not in the help`);
    },
  },
  {
    id: "LMS-112",
    words: "`--estimate-only` tells the estimate on stderr, exits 0 and loads nothing",
    source: load,
    lmstack: notUsed,
    changes: async (scratch) => {
      const { code, out, err } = await scratch.lms("load", "--exact", scratch.model.path, "--estimate-only", "-y");
      assert.deepEqual([code, out], [0, ""]);
      assert.match(err, /Estimated GPU Memory:[\s\S]*may be loaded based on your resource guardrails settings\./);
      assert.deepEqual(await ps(scratch), []);
    },
  },
  {
    id: "LMS-113",
    words: "`--estimate-only` exits 0 also when the load would fail",
    source: load,
    lmstack: notUsed,
    traps: { gpuMemoryBytes: 1000 },
    changes: async (scratch) =>
      ran(await scratch.lms("load", "--exact", scratch.model.path, "--estimate-only", "-y"), 0, {
        err: /will fail to load/,
      }),
  },
  {
    id: "LMS-114",
    words: "a model that does not fit into the GPU's memory fails to load, and the next smaller load works",
    source: "seen; lms#502, BT#1967",
    lmstack: "tells LM Studio's reason and what to lower, and quarantines after 5 failures",
    traps: { gpuMemoryBytes: gib },
    changes: async (scratch) => {
      const big = await scratch.lms("load", "--exact", scratch.model.path, "-c", "200000", "--parallel", "4", "-y");
      ran(big, 1, { out: /./, err: /memory/ });
      await scratch.load("X", "-c", "2048", "--parallel", "1");
    },
  },
  {
    id: "LMS-115",
    words: "what is loaded takes memory from the next load, and gives it back when it is unloaded",
    source: "lms#511, BT#1967",
    lmstack: "unloads what is no longer declared before it loads",
    traps: { gpuMemoryBytes: gib },
    changes: async (scratch) => {
      const flags = ["-c", "4096", "--parallel", "1"];
      await scratch.load("X", ...flags);
      assert.equal((await scratch.lms("load", "--exact", scratch.model.path, ...flags, "-y")).code, 1);
      await scratch.lms("unload", "X");
      await scratch.load("Y", ...flags);
    },
  },
  {
    id: "LMS-116",
    words: "without `.internal/temp` loads fail: `ENOENT … mkdtemp …`",
    source: "seen",
    version: "0.0.25",
    lmstack: "makes the folder whenever it writes settings",
    llmster: "0.0.25-1",
    traps: { tempFolderMissing: "auto" },
    changes: async (scratch) => {
      await rm(scratch.file(".internal", "temp"), { recursive: true });
      ran(await scratch.lms("load", "--exact", scratch.model.path, "-y"), 1, {
        out: /./,
        err: /ENOENT.*mkdtemp .*\.internal\/temp/,
      });
    },
  },
  {
    id: "LMS-117",
    words: "right after the daemon's start a load may fail with `Text file busy`",
    source: "seen",
    lmstack: "the call is made again, six times with growing pauses",
    traps: { textFileBusyMs: 60_000 },
    changes: async (scratch) =>
      ran(await scratch.lms("load", "--exact", scratch.model.path, "-y"), 1, { out: /./, err: /Text file busy/ }),
  },
  {
    id: "LMS-118",
    words: "defaults of one model apply to its next `lms load`",
    source: defaults,
    lmstack: "passes context and parallel, which win",
    changes: async (scratch) => {
      await scratch.modelDefaults({ "llm.load.contextLength": 1536, "llm.load.numParallelSessions": 3 });
      await scratch.load("X");
      assert.deepEqual(await contextAndSlots(scratch), [1536, 3]);
    },
  },
  {
    id: "LMS-119",
    words: "flags of `lms load` win over the model's defaults",
    source: defaults,
    lmstack: "passes context and parallel every time",
    changes: async (scratch) => {
      await scratch.modelDefaults({ "llm.load.contextLength": 1536, "llm.load.numParallelSessions": 3 });
      await scratch.load("X", "-c", "2048", "--parallel", "1");
      assert.deepEqual(await contextAndSlots(scratch), [2048, 1]);
    },
  },
  {
    id: "LMS-280",
    words:
      "a model's default `llm.load.llama.flashAttention` applies to its next load, and `GET /api/v1/models` tells it",
    source: defaults,
    lmstack: "writes `load.flashAttention` there before each load: `lms load` has no flag",
    changes: async (scratch) => {
      await scratch.modelDefaults({ "llm.load.llama.flashAttention": false });
      await scratch.serve();
      await scratch.load("X");
      const { models } = (await (await fetch(`http://127.0.0.1:${scratch.port}/api/v1/models`)).json()) as Listing;
      const mine = models.flatMap(({ loaded_instances }) => loaded_instances).find(({ id }) => id === "X");
      assert.equal(mine?.config.flash_attention, false);
    },
  },
  {
    id: "LMS-281",
    words: "the types of the cache are `{checked, value}` there, and a quantised one takes less memory",
    source: defaults,
    lmstack: "writes `load.kvCacheType` there for keys and values, before each load",
    traps: { gpuMemoryBytes: gib },
    changes: async (scratch) => {
      const flags = ["-c", "8192", "--parallel", "1"];
      const again = () => scratch.lms("load", "--exact", scratch.model.path, "--identifier", "X", ...flags, "-y");
      assert.equal((await again()).code, 1);
      const q8 = { checked: true, value: "q8_0" };
      const types = { "llm.load.llama.kCacheQuantizationType": q8, "llm.load.llama.vCacheQuantizationType": q8 };
      await scratch.modelDefaults({ "llm.load.llama.flashAttention": true, ...types });
      assert.equal((await again()).code, 0);
    },
  },
  {
    id: "LMS-282",
    words:
      "a quantised V cache without flash attention fails the load: `V Cache Quantization requires flash attention to be enabled.`",
    source: "seen",
    lmstack: "switches flash attention on beside it, and refuses the contradiction in a spec",
    changes: async (scratch) => {
      await scratch.modelDefaults({
        "llm.load.llama.flashAttention": false,
        "llm.load.llama.vCacheQuantizationType": { checked: true, value: "q4_0" },
      });
      ran(await scratch.lms("load", "--exact", scratch.model.path, "-y"), 1, {
        out: /./,
        err: /V Cache Quantization requires flash attention to be enabled\./,
      });
    },
  },
];

interface Listing {
  readonly models: readonly {
    readonly loaded_instances: readonly {
      readonly id: string;
      readonly config: { readonly flash_attention: boolean };
    }[];
  }[];
}

async function realFolder(scratch: Scratch): Promise<string> {
  return (await scratch.readJson("settings.json")).downloadsFolder ?? scratch.file("models");
}
