/** `lms get`. */
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { assert, ran } from "./words.ts";

const get = "lms src/subcommands/get.ts";
const fetches = "fetches model files by itself, by URL and sha256";
const asksHuggingFace = "it asks Hugging Face";

/** `publisher/repo` of a model that is there. */
const repoOf = (scratch: Scratch): string => scratch.model.path.split("/").slice(0, 2).join("/");

export const getting: readonly Fact[] = [
  {
    id: "LMS-127",
    words: "`get` of what is there says `Model already downloaded. To use, run: lms load …`, exit 0",
    source: get,
    lmstack: fetches,
    onlyStandIn: asksHuggingFace,
    changes: async (scratch) =>
      ran(await scratch.lms("get", repoOf(scratch), "-y"), 0, {
        err: /Model already downloaded\. To use, run: lms load /,
      }),
  },
  {
    id: "LMS-128",
    words: "`get` of a quantization that does not exist: `Cannot find variant X.`, exit 1 with `-y`",
    source: get,
    lmstack: fetches,
    onlyStandIn: asksHuggingFace,
    changes: async (scratch) =>
      ran(await scratch.lms("get", `${repoOf(scratch)}@q99_x`, "-y"), 1, { err: /Cannot find variant q99_x\./i }),
  },
  {
    id: "LMS-129",
    words: "`get` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: "never called",
    onlyStandIn: asksHuggingFace,
    changes: async (scratch) => {
      await scratch.lms("get", "nobody/nothing", "-y");
      assert.ok(await scratch.daemonRuns());
    },
  },
  {
    id: "LMS-130",
    words: "`get` takes no revision and no checksum, and has no `--json`",
    source: get,
    lmstack: fetches,
    needs: "daemon",
    reads: async (place) => {
      for (const flag of ["--revision", "--sha256", "--json"])
        assert.match((await place.lms("get", "lmstack-conformance/none", flag, "y")).err, /unknown option/, flag);
    },
  },
];
