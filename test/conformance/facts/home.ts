/** The home that `lms` finds, and how it finds the daemon of that home. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { until } from "../scratch.ts";
import { assert } from "./words.ts";

/** A home beside the scratch one, told apart by the port of its server. */
async function otherHome(home: string, port: number): Promise<void> {
  await mkdir(join(home, ".internal"), { recursive: true });
  await writeFile(join(home, ".internal", "http-server-config.json"), JSON.stringify({ port }));
}

const pointerOf = (scratch: Scratch): string => join(scratch.userHome, ".lmstudio-home-pointer");

export const home: readonly Fact[] = [
  {
    id: "LMS-012",
    words: "LM Studio's home is what `~/.lmstudio-home-pointer` says, before anything else",
    source: "lmstudio-js findLMStudioHome.ts",
    lmstack: "observes the folder, exports HOME, and removes only a pointer that it caused",
    onlyStandIn: "it would take LM Studio's own home away from it",
    changes: async (scratch) => {
      const elsewhere = join(scratch.userHome, "elsewhere");
      await otherHome(elsewhere, 4321);
      await writeFile(pointerOf(scratch), elsewhere);
      assert.equal((await scratch.json("server", "status")).port, 4321);
    },
  },
  {
    id: "LMS-013",
    words: "without a pointer an existing `~/.cache/lm-studio` is the home, else `~/.lmstudio`",
    source: "lmstudio-js findLMStudioHome.ts",
    lmstack: "exports HOME of the user whose LM Studio is meant",
    onlyStandIn: "it would take LM Studio's own home away from it",
    changes: async (scratch) => {
      await otherHome(join(scratch.userHome, ".cache", "lm-studio"), 4322);
      await rm(pointerOf(scratch), { force: true });
      assert.equal((await scratch.json("server", "status")).port, 4322);
    },
  },
  {
    id: "LMS-014",
    words: "looking for the home writes the pointer",
    source: "lmstudio-js findLMStudioHome.ts",
    lmstack: "the pointer goes with the removal when lmstack caused it",
    changes: async (scratch) => {
      const pointer = pointerOf(scratch);
      await rm(pointer, { force: true });
      await scratch.lms("server", "status");
      assert.equal((await readFile(pointer, "utf8")).trim(), scratch.home);
    },
  },
  {
    id: "LMS-015",
    words: "`.internal/http-server.json` holds the port of the daemon's own API, which answers `/lms-status`",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "asks `lms daemon status`; the file is not read",
    needs: "daemon",
    reads: async (place) => {
      const { port } = await place.readJson(".internal", "http-server.json");
      assert.equal((await fetch(`http://127.0.0.1:${port}/lms-status`)).status, 200);
    },
  },
  {
    id: "LMS-016",
    words: "`http-server.json` of a killed daemon stays behind; `daemon status` sees through it",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "a process is alive when its pid and start time are; the file counts for nothing",
    changes: async (scratch) => {
      const { pid } = await scratch.daemonUp();
      process.kill(pid, "SIGKILL");
      assert.ok(existsSync(scratch.file(".internal", "http-server.json")));
      await until(async () => !(await scratch.daemonRuns()));
      assert.notEqual((await scratch.daemonUp()).pid, pid);
    },
  },
  {
    id: "LMS-017",
    words: "`LMS_API_SERVER_INFO_PATH` names another file than `.internal/http-server.json`",
    source: "lms src/localAPIServer.ts",
    lmstack: "nothing: what a person's shell sets does not reach the supervisor's service",
    changes: async (scratch) => {
      await scratch.daemonUp();
      const moved = join(scratch.userHome, "info.json");
      await writeFile(moved, '{"port":9}');
      const told = await scratch.lmsWith({ LMS_API_SERVER_INFO_PATH: moved }, "daemon", "status", "--json");
      assert.deepEqual(JSON.parse(told.out), { status: "not-running" });
    },
    onlyStandIn: "the real one also tries fixed ports",
  },
  {
    id: "LMS-035",
    words: "`lms` keeps a key for the daemon in `.internal/lms-key-2`",
    source: "lms src/createClient.ts",
    lmstack: "left alone",
    needs: "daemon",
    reads: async (place) => assert.ok((await readFile(place.file(".internal", "lms-key-2"), "utf8")).length > 0),
  },
];
