/** llmster as it is installed: its folders, its versions, `bootstrap`. */
import { existsSync } from "node:fs";
import type { Fact } from "../fact.ts";
import type { Place } from "../place.ts";
import { assert } from "./words.ts";

/** The program that a wake-up starts. */
const recorded = async (place: Place): Promise<{ path: string }> =>
  await place.readJson(".internal", "llmster-install-location.json");

export const installation: readonly Fact[] = [
  {
    id: "LMS-161",
    words: "llmster lies in llmster/VERSION, `lms` in bin, models in models",
    source: "docs headless_llmster.mdx; seen",
    lmstack: "one version a folder; a new one beside the old",
    needs: "nothing",
    reads: async (place) => {
      for (const name of ["bin/lms", "llmster", "models", ".internal"]) assert.ok(existsSync(place.file(name)), name);
    },
  },
  {
    id: "LMS-162",
    words: "`.internal/llmster-install-location.json` says which program a wake-up starts",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "tells the installed version by it",
    needs: "nothing",
    reads: async (place) => {
      assert.match(JSON.stringify(await recorded(place)), /llmster/);
    },
  },
  {
    id: "LMS-163",
    words: "`llmster --version` prints the version of its folder",
    source: "seen",
    lmstack: "goes by the folder's name",
    needs: "nothing",
    reads: async (place) => {
      const { path } = await recorded(place);
      const { code, out } = await place.run(path, ["--version"]);
      assert.equal(code, 0);
      assert.ok(path.includes(out.trim().replace("+", "-")), `${out.trim()} is not in ${path}`);
    },
  },
  {
    id: "LMS-164",
    words:
      "`llmster bootstrap` refuses while the daemon runs: `The llmster daemon appears to be running (pid:…)`, exit 1",
    source: "BT#1612",
    lmstack: "takes the daemon down first",
    changes: async (scratch) => {
      const { pid } = await scratch.daemonUp();
      const { path } = await recorded(scratch);
      const { code, out, err } = await scratch.run(path, ["bootstrap"]);
      assert.equal(code, 1);
      assert.match(out + err, new RegExp(`appears to be running \\(pid:${pid}\\)`));
    },
  },
  {
    id: "LMS-165",
    words: "`llmster bootstrap` says `Install completed at …` and `lms install location: …`",
    source: "seen",
    version: "0.0.19",
    lmstack: "looks for the version that is then there",
    changes: async (scratch) => {
      const { path } = await recorded(scratch);
      const { out, err } = await scratch.run(path, ["bootstrap"], { LMS_NO_MODIFY_PATH: "1" });
      assert.match(out + err, /Install completed at [\s\S]*lms install location: /);
    },
  },
  {
    id: "LMS-166",
    words: "a second version lies beside the first, and the one that was bootstrapped last is started",
    source: "nixpkgs pkgs/by-name/ll/llmster; seen",
    lmstack:
      "an upgrade is one more folder; the one before stays, and comes back by itself when the newer one does not hold",
    onlyStandIn: "it takes a second version",
    changes: async (scratch) => {
      const { installInto } = await import("../../lmstudio-sim/install.ts");
      await installInto(scratch.userHome, { version: "0.0.26-1" });
      assert.ok(existsSync(scratch.file("llmster", "0.0.25-1")) && existsSync(scratch.file("llmster", "0.0.26-1")));
      assert.equal((await scratch.daemonUp()).version, "0.0.26+1");
    },
  },
];
