/** `lms ls` and `lms ps`. */
import { rm } from "node:fs/promises";
import { writeScriptFolder } from "../../lmstudio-sim/gguf/script-model.ts";
import type { Fact } from "../fact.ts";
import { until } from "../scratch.ts";
import { only } from "./ps.ts";
import { assert, ran, shape } from "./words.ts";

const models = "lmstudio-js lms-shared-types/src/ModelInfoBase.ts, llm/LLMModelInfo.ts";
const command = "lms src/subcommands/list.ts";
const notUsed = "not used";

export const listing: readonly Fact[] = [
  {
    id: "LMS-081",
    words:
      "`ls --json` lists each downloaded model with type, modelKey, format, displayName, publisher, path, sizeBytes and more",
    source: models,
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
    source: models,
    lmstack: "is what `--exact` gets",
    changes: async (scratch) => {
      const paths = (await scratch.json("ls")).map((model: { path: string }) => model.path);
      assert.deepEqual(paths.sort(), scratch.models.map((model) => model.path).sort());
    },
  },
  {
    id: "LMS-283",
    words:
      "a folder of safetensors with config.json is one model: its `path` is publisher/repo, its format `safetensors`",
    source: models,
    lmstack: "`--exact` gets the folder",
    onlyStandIn: "it needs a Mac and an MLX model",
    changes: async (scratch) => {
      await writeScriptFolder(scratch.file("models", "local", "Folder-4bit"), { name: "Folder-4bit" });
      const found = (await scratch.json("ls")).find(({ path }: { path: string }) => path === "local/Folder-4bit");
      assert.equal(found?.format, "safetensors");
      ran(await scratch.lms("load", "--exact", "local/Folder-4bit", "--identifier", "X", "-y"), 0, {
        out: /Loading/,
        err: /loaded/,
      });
      assert.deepEqual(await scratch.loaded(), ["X"]);
    },
  },
  {
    id: "LMS-083",
    words: "nothing downloaded is `[]`",
    source: command,
    lmstack: "an empty list is an answer",
    changes: async (scratch) => {
      await rm(scratch.file("models"), { recursive: true });
      ran(await scratch.lms("ls", "--json"), 0, { out: /^\[\]\n$/, err: /Waking/ });
    },
  },
  {
    id: "LMS-084",
    words: "`ls --variants --json` lists `{model, variants}`",
    source: command,
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
    source: command,
    lmstack: notUsed,
    needs: "daemon",
    reads: async (place) => assert.equal((await place.lms("ls", "x", "--variants")).code, 1),
  },
  {
    id: "LMS-086",
    words: "`ls --embedding --json` leaves language models out",
    source: command,
    lmstack: notUsed,
    needs: "daemon",
    reads: async (place) => {
      for (const model of await place.json("ls", "--embedding")) assert.equal(model.type, "embedding");
    },
  },
  {
    id: "LMS-087",
    words: "`ps --json` adds identifier, ttlMs, lastUsedTime, contextLength, status, queued and parallel",
    source: `${command}, commit of 2026-03-11`,
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
    source: command,
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
    source: `lmstudio-js; ${command}`,
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
];
