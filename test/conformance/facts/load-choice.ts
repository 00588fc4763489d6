/** Which model `lms load` takes for the words that it is given. */
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { only, ps } from "./ps.ts";
import { assert, ran } from "./words.ts";

const load = "lms src/subcommands/load.ts";
const exact = "loads with `--exact` and the path, never by a key";

/** One letter, which both models' keys have. */
const ambiguous = async (scratch: Scratch): Promise<string> => (await scratch.key())[0] as string;

export const loadChoice: readonly Fact[] = [
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
      const { code, err } = await scratch.lms("load", await ambiguous(scratch), "-y");
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
        assert.equal((await scratch.lms("load", await ambiguous(scratch), "-y")).code, 0);
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
      assert.equal((await scratch.lms("load", await ambiguous(scratch))).code, 1);
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
];
