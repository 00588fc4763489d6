/** The files of settings in an LM Studio home: which keys they have, and what the keys do. */
import { readFile } from "node:fs/promises";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { assert, shape } from "./words.ts";

export const settings: readonly Fact[] = [
  {
    id: "LMS-167",
    words:
      "http-server-config.json holds port, cors, networkInterface, autoStartOnLaunch, logSensitiveData, justInTimeModelLoading",
    source: "seen",
    lmstack: "merges these keys, logIncomingTokens and fileLoggingMode, daemon down",
    changes: async (scratch) => {
      await scratch.serve();
      shape(await scratch.readJson(".internal", "http-server-config.json"), {
        autoStartOnLaunch: "boolean",
        port: "number",
        cors: "boolean",
        logSensitiveData: "boolean",
        networkInterface: "string",
        justInTimeModelLoading: "boolean",
      });
    },
  },
  {
    id: "LMS-168",
    words: "`logSensitiveData` and `justInTimeModelLoading` are on unless somebody says otherwise",
    source: "seen",
    lmstack: "switches both off",
    changes: async (scratch) => {
      await scratch.serve();
      const { logSensitiveData, justInTimeModelLoading } = await scratch.readJson(".internal/http-server-config.json");
      assert.deepEqual([logSensitiveData, justInTimeModelLoading], [true, true]);
    },
  },
  {
    id: "LMS-169",
    words: "the daemon writes settings.json with its defaults at its start",
    source: "seen",
    lmstack: "writes while the daemon is down, and looks again",
    changes: async (scratch) => {
      await scratch.daemonUp();
      const settings = await scratch.readJson("settings.json");
      shape(settings, { downloadsFolder: "string", developer: "object" });
    },
  },
  {
    id: "LMS-170",
    words: "a rewrite of settings.json keeps keys that LM Studio does not know",
    source: "seen",
    lmstack: "merges key by key as well, and remembers what was there",
    changes: async (scratch) => {
      await scratch.mergeJson("settings.json", { lmstackTest: { keep: true } });
      await scratch.daemonUp();
      assert.deepEqual((await scratch.readJson("settings.json")).lmstackTest, { keep: true });
    },
  },
  {
    id: "LMS-171",
    words: "prompts are in server-logs/YYYY-MM/YYYY-MM-DD.N.log unless `logSensitiveData` is off",
    source: "seen",
    lmstack: "switches it off",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const say = (input: string) => scratch.post("/v1/responses", { model: "X", input, max_output_tokens: 5 });
      await say("planted prompt");
      assert.match(await todaysLog(scratch), /planted prompt/);
      await scratch.mergeJson(".internal/http-server-config.json", { logSensitiveData: false });
      await scratch.daemonDown();
      await scratch.load("X");
      await scratch.lms("server", "start");
      await say("hidden prompt");
      assert.doesNotMatch(await todaysLog(scratch), /hidden prompt/);
    },
  },
  {
    id: "LMS-172",
    words: "with `developer.autoUpdateExtensionPacks` engines update themselves, and the new one is the selected one",
    source: "BT#2234; seen",
    lmstack: "switches it off and proves the declared engine after every start of the daemon",
    traps: { engineUpdatesItself: true },
    changes: async (scratch) => {
      const updates = async (allowed: boolean) => {
        await scratch.daemonDown();
        await scratch.mergeJson("settings.json", {
          downloadsFolder: scratch.file("models"),
          developer: { autoUpdateExtensionPacks: allowed },
        });
      };
      await updates(false);
      const before = await selected(scratch);
      await updates(true);
      assert.notEqual(await selected(scratch), before);
      await scratch.lms("runtime", "select", before);
      await updates(false);
      assert.equal(await selected(scratch), before);
    },
  },
];

/** The selected engine as `runtime ls` shows it. */
async function selected(scratch: Scratch): Promise<string> {
  const { out } = await scratch.lms("runtime", "ls");
  return /^(\S+@\S+) +✓/m.exec(out)?.[1] ?? "";
}

async function todaysLog(scratch: Scratch): Promise<string> {
  const day = new Date().toISOString().slice(0, 10);
  return await readFile(scratch.file("server-logs", day.slice(0, 7), `${day}.1.log`), "utf8");
}
