/** `lms ls`, `ps`, `load`, `unload` and `get`. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { until } from "../scratch.ts";
import { assert, ran, shape } from "./words.ts";

const listing = "lmstudio-js lms-shared-types/src/ModelInfoBase.ts, llm/LLMModelInfo.ts";
const load = "lms src/subcommands/load.ts";
const unload = "lms src/subcommands/unload.ts";
const get = "lms src/subcommands/get.ts";
const exact = "loads with `--exact` and the path, never by a key";
const looksAfter = "looks at what is loaded before and after";
const notUsed = "not used";
const defaults = "seen; lmstudio-js lms-kv-config/src/schema.ts";
const gib = 2 ** 30;
/** Should a call pass that has to be refused, it finds nothing. */
const none = "lmstack-conformance/none";

interface Loaded {
  readonly identifier: string;
  readonly path: string;
  readonly contextLength: number;
  readonly parallel: number | null;
  readonly ttlMs: number | null;
  readonly queued: number;
  readonly status: string;
}

const ps = async (scratch: Scratch): Promise<Loaded[]> => await scratch.json("ps");
const only = async (scratch: Scratch): Promise<Loaded> => (await ps(scratch))[0] as Loaded;

export const models: readonly Fact[] = [
  {
    id: "LMS-081",
    words:
      "`ls --json` lists each downloaded model with type, modelKey, format, displayName, publisher, path, sizeBytes and more",
    source: listing,
    lmstack: "reads the path of what is loaded",
    needs: "model",
    reads: async (place) => {
      const [first] = await place.json("ls", "--llm");
      shape(first, {
        type: "string",
        modelKey: "string",
        format: "string",
        displayName: "string",
        publisher: "string",
        path: "string",
        sizeBytes: "number",
        indexedModelIdentifier: "string",
        deviceIdentifier: "string|null",
        vision: "boolean",
        trainedForToolUse: "boolean",
        maxContextLength: "number",
      });
    },
  },
  {
    id: "LMS-082",
    words: "`path` of a model is relative to the models folder: publisher/repo/file",
    source: listing,
    lmstack: "is what `--exact` gets",
    changes: async (scratch) => {
      const paths = (await scratch.json("ls")).map((model: { path: string }) => model.path);
      assert.deepEqual(paths.sort(), scratch.models.map((model) => model.path).sort());
    },
  },
  {
    id: "LMS-083",
    words: "nothing downloaded is `[]`",
    source: "lms src/subcommands/list.ts",
    lmstack: "an empty list is an answer",
    changes: async (scratch) => {
      await rm(scratch.file("models"), { recursive: true });
      ran(await scratch.lms("ls", "--json"), 0, { out: /^\[\]\n$/, err: /Waking/ });
    },
  },
  {
    id: "LMS-084",
    words: "`ls --variants --json` lists `{model, variants}`",
    source: "lms src/subcommands/list.ts",
    lmstack: notUsed,
    needs: "model",
    reads: async (place) => {
      const rows = await place.json("ls", "--variants");
      assert.ok(Array.isArray(rows));
      for (const row of rows) shape(row, { model: "object", variants: "array" });
    },
  },
  {
    id: "LMS-085",
    words: "a model key together with `--variants` is refused: exit 1",
    source: "lms src/subcommands/list.ts",
    lmstack: notUsed,
    needs: "daemon",
    reads: async (place) => assert.equal((await place.lms("ls", "x", "--variants")).code, 1),
  },
  {
    id: "LMS-086",
    words: "`ls --embedding --json` leaves language models out",
    source: "lms src/subcommands/list.ts",
    lmstack: notUsed,
    needs: "daemon",
    reads: async (place) => {
      for (const model of await place.json("ls", "--embedding")) assert.equal(model.type, "embedding");
    },
  },
  {
    id: "LMS-087",
    words: "`ps --json` adds identifier, ttlMs, lastUsedTime, contextLength, status, queued and parallel",
    source: "lms src/subcommands/list.ts, commit of 2026-03-11",
    lmstack: "compares identifier, path, context and parallel with the declaration",
    needs: "model",
    reads: async (place) => {
      const [first] = await place.json("ps");
      shape(first, {
        modelKey: "string",
        path: "string",
        identifier: "string",
        ttlMs: "number|null",
        lastUsedTime: "number|null",
        contextLength: "number",
        status: "string",
        queued: "number",
        parallel: "number|null",
      });
      assert.ok(["idle", "processingPrompt", "generating", "computingEmbedding"].includes(first.status));
    },
  },
  {
    id: "LMS-088",
    words: "`ps` with nothing loaded says `No models are currently loaded.` on stderr; with `--json` it is `[]`",
    source: "lms src/subcommands/list.ts",
    lmstack: "reads the JSON",
    changes: async (scratch) => {
      await scratch.daemonUp();
      ran(await scratch.lms("ps"), 0, { err: /^No models are currently loaded\.\n$/ });
      ran(await scratch.lms("ps", "--json"), 0, { out: /^\[\]\n$/ });
    },
  },
  {
    id: "LMS-089",
    words: "`queued` counts the running request too, and the status tells that it runs",
    source: "lmstudio-js; lms src/subcommands/list.ts",
    lmstack: "the proxy keeps its own count",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const asked = scratch.post("/v1/chat/completions", {
        model: "X",
        messages: [{ role: "user", content: "Count slowly to 400. sim:tokens=400 sim:pace=5" }],
        max_tokens: 400,
      });
      await until(async () => (await only(scratch)).queued === 1 && (await only(scratch)).status !== "idle");
      await asked;
      await until(async () => (await only(scratch)).queued === 0 && (await only(scratch)).status === "idle");
    },
  },
  {
    id: "LMS-090",
    words: "`load --exact` compares with the path",
    source: load,
    lmstack: exact,
    changes: async (scratch) => {
      await scratch.load("X");
      assert.equal((await only(scratch)).path, scratch.model.path);
    },
  },
  {
    id: "LMS-091",
    words: "`load --exact` with a model key finds nothing: `Model not found`, exit 1",
    source: load,
    lmstack: exact,
    changes: async (scratch) =>
      ran(await scratch.lms("load", "--exact", await scratch.key(), "-y"), 1, { err: /Model not found/ }),
  },
  {
    id: "LMS-092",
    words: "without `--exact` a few letters in their order are a match: a short key loads some model",
    source: `${load} (fuzzy filter)`,
    lmstack: exact,
    changes: async (scratch) => {
      const key = await scratch.key();
      const letters = `${key[0]}${key.at(-1)}`;
      assert.equal((await scratch.lms("load", letters, "-y")).code, 0);
      assert.equal((await ps(scratch)).length, 1);
    },
  },
  {
    id: "LMS-093",
    words:
      "`-y` with several matches warns `N models match the provided model key on the same device. Loading the first one.` and exits 0",
    source: load,
    lmstack: exact,
    changes: async (scratch) => {
      const { code, err } = await scratch.lms("load", (await scratch.key())[0] as string, "-y");
      assert.equal(code, 0);
      assert.match(err, /2 models match the provided model key on the same device\. Loading the first one\./);
    },
  },
  {
    id: "LMS-094",
    words: "of several matches the one that was loaded last comes first",
    source: `${load} (sorted by last load)`,
    lmstack: exact,
    changes: async (scratch) => {
      for (const { path } of [...scratch.models, ...scratch.models.slice(0, 1)]) {
        await scratch.lms("load", "--exact", path, "-y");
        await scratch.lms("unload", "--all");
        assert.equal((await scratch.lms("load", (await scratch.key())[0] as string, "-y")).code, 0);
        assert.equal((await only(scratch)).path, path);
        await scratch.lms("unload", "--all");
      }
    },
  },
  {
    id: "LMS-095",
    words: "`-y` with no match: `Model not found`, exit 1",
    source: load,
    lmstack: exact,
    changes: async (scratch) => ran(await scratch.lms("load", "zzzzqqqq", "-y"), 1, { err: /Model not found/ }),
  },
  {
    id: "LMS-096",
    words: "an ambiguous key without `-y` asks, which fails without a terminal",
    source: load,
    lmstack: "`-y` every time",
    changes: async (scratch) => {
      assert.equal((await scratch.lms("load", (await scratch.key())[0] as string)).code, 1);
      assert.deepEqual(await ps(scratch), []);
    },
  },
  {
    id: "LMS-097",
    words: "models of a `clip` architecture cannot be loaded: they are left out of the candidates",
    source: load,
    lmstack: "a model file is one of a language model; the load fails in words",
    onlyStandIn: "it takes a file of that architecture",
    changes: async (scratch) => {
      const { writeScriptModel } = await import("../../lmstudio-sim/gguf/script-model.ts");
      const path = "local/projector/projector.gguf";
      await writeScriptModel(scratch.file("models", path), { name: "projector", architecture: "clip" });
      assert.match((await scratch.lms("ls", "--json")).out, /projector\.gguf/);
      ran(await scratch.lms("load", "--exact", path, "-y"), 1, { err: /Model not found/ });
    },
  },
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
      const { contextLength, parallel } = await only(scratch);
      assert.deepEqual([contextLength, parallel], [2048, 2]);
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
      const { contextLength, parallel } = await only(scratch);
      assert.deepEqual([contextLength, parallel], [1536, 3]);
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
      const { contextLength, parallel } = await only(scratch);
      assert.deepEqual([contextLength, parallel], [2048, 1]);
    },
  },
  {
    id: "LMS-120",
    words: "`unload` of an unknown identifier says `Model Not Found` and exits 0",
    source: unload,
    lmstack: looksAfter,
    changes: async (scratch) => {
      await scratch.load("X");
      ran(await scratch.lms("unload", "nobody"), 0, { err: /Model Not Found/ });
    },
  },
  {
    id: "LMS-121",
    words: "an identifier together with `--all` is `Invalid Usage`, exit 0, and nothing is unloaded",
    source: unload,
    lmstack: "one identifier a call",
    changes: async (scratch) => {
      await scratch.load("X");
      ran(await scratch.lms("unload", "X", "--all"), 0, { err: /Invalid Usage/ });
      assert.deepEqual(await scratch.loaded(), ["X"]);
    },
  },
  {
    id: "LMS-122",
    words: "`unload --all` with nothing loaded says `No models to unload.`, exit 0",
    source: unload,
    lmstack: notUsed,
    changes: async (scratch) => {
      await scratch.daemonUp();
      ran(await scratch.lms("unload", "--all"), 0, { err: /^No models to unload\.\n$/ });
    },
  },
  {
    id: "LMS-123",
    words: "`unload` without a word: nothing loaded is exit 1, a single one is unloaded",
    source: unload,
    lmstack: "names the instance",
    changes: async (scratch) => {
      assert.equal((await scratch.lms("unload")).code, 1);
      await scratch.load("X");
      assert.equal((await scratch.lms("unload")).code, 0);
      assert.deepEqual(await scratch.loaded(), []);
    },
  },
  {
    id: "LMS-124",
    words: "`unload` without a word and with several loaded asks, which fails without a terminal",
    source: unload,
    lmstack: "names the instance",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("Y");
      assert.equal((await scratch.lms("unload")).code, 1);
      assert.equal((await scratch.loaded()).length, 2);
    },
  },
  {
    id: "LMS-125",
    words: 'an identifier has to be the whole one; `Model "X:2" unloaded.`, exit 0',
    source: unload,
    lmstack: "takes identifiers from LM Studio's own list",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("X");
      ran(await scratch.lms("unload", "X:2"), 0, { err: /Model "X:2" unloaded\.\n$/ });
      assert.deepEqual(await scratch.loaded(), ["X"]);
    },
  },
  {
    id: "LMS-126",
    words: "`unload --all` says `Unloaded N models.`",
    source: unload,
    lmstack: notUsed,
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("Y");
      ran(await scratch.lms("unload", "--all"), 0, { err: /Unloaded 2 models\.\n$/ });
    },
  },
  {
    id: "LMS-127",
    words: "`get` of what is there says `Model already downloaded. To use, run: lms load …`, exit 0",
    source: get,
    lmstack: "fetches model files by itself, by URL and sha256",
    onlyStandIn: "it asks Hugging Face",
    changes: async (scratch) =>
      ran(await scratch.lms("get", scratch.model.path.split("/").slice(0, 2).join("/"), "-y"), 0, {
        err: /Model already downloaded\. To use, run: lms load /,
      }),
  },
  {
    id: "LMS-128",
    words: "`get` of a quantization that does not exist: `Cannot find variant X.`, exit 1 with `-y`",
    source: get,
    lmstack: "fetches model files by itself, by URL and sha256",
    onlyStandIn: "it asks Hugging Face",
    changes: async (scratch) => {
      const repo = scratch.model.path.split("/").slice(0, 2).join("/");
      ran(await scratch.lms("get", `${repo}@q99_x`, "-y"), 1, { err: /Cannot find variant q99_x\./i });
    },
  },
  {
    id: "LMS-129",
    words: "`get` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: "never called",
    onlyStandIn: "it asks Hugging Face",
    changes: async (scratch) => {
      await scratch.lms("get", "nobody/nothing", "-y");
      assert.ok(await scratch.daemonRuns());
    },
  },
  {
    id: "LMS-130",
    words: "`get` takes no revision and no checksum, and has no `--json`",
    source: get,
    lmstack: "fetches model files by itself, by URL and sha256",
    needs: "daemon",
    reads: async (place) => {
      for (const flag of ["--revision", "--sha256", "--json"])
        assert.match((await place.lms("get", none, flag, "y")).err, /unknown option/, flag);
    },
  },
];

async function realFolder(scratch: Scratch): Promise<string> {
  return (await scratch.readJson("settings.json")).downloadsFolder ?? scratch.file("models");
}
