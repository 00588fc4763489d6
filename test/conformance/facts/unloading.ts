/** `lms unload`. */
import type { Fact } from "../fact.ts";
import { assert, ran } from "./words.ts";

const unload = "lms src/subcommands/unload.ts";

export const unloading: readonly Fact[] = [
  {
    id: "LMS-120",
    words: "`unload` of an unknown identifier says `Model Not Found` and exits 0",
    source: unload,
    lmstack: "looks at what is loaded before and after",
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
    lmstack: "not used",
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
    lmstack: "not used",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.load("Y");
      ran(await scratch.lms("unload", "--all"), 0, { err: /Unloaded 2 models\.\n$/ });
    },
  },
];
