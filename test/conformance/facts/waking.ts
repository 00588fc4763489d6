/** Which commands start a daemon and which leave it asleep, and how one is started. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { assert, ran, shape } from "./words.ts";

const supervised =
  "only the supervisor starts a daemon; every other call looks at `daemon status` first and is not made without one";

/** The command starts a daemon that was not there. */
const wakes =
  (...words: string[]) =>
  async (scratch: Scratch): Promise<void> => {
    await scratch.lms(...words);
    assert.ok(await scratch.daemonRuns(), "no daemon runs afterwards");
  };

/** The command leaves a daemon that is down as it is. */
const leavesDown =
  (...words: string[]) =>
  async (scratch: Scratch): Promise<void> => {
    await scratch.lms(...words);
    assert.ok(!(await scratch.daemonRuns()), "a daemon runs afterwards");
  };

export const waking: readonly Fact[] = [
  {
    id: "LMS-018",
    words: "`lms ls` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("ls"),
  },
  {
    id: "LMS-019",
    words: "`lms ps` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("ps"),
  },
  {
    id: "LMS-020",
    words: "`lms load` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("load", "--exact", "no/such/model", "-y"),
  },
  {
    id: "LMS-021",
    words: "`lms unload` starts the daemon, to find that nothing is loaded",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("unload", "--all"),
  },
  {
    id: "LMS-022",
    words: "`lms runtime ls` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("runtime", "ls"),
  },
  {
    id: "LMS-023",
    words: "`lms runtime survey` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: wakes("runtime", "survey", "--json"),
  },
  {
    id: "LMS-024",
    words: "`lms server start` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: supervised,
    changes: async (scratch) => {
      await scratch.serve();
      assert.ok(await scratch.daemonRuns());
    },
  },
  {
    id: "LMS-025",
    words: "`lms daemon down` does not start the daemon",
    source: "lms src/subcommands/daemon",
    lmstack: "may be called at any time",
    changes: leavesDown("daemon", "down"),
  },
  {
    id: "LMS-026",
    words: "`lms daemon status` does not start the daemon",
    source: "lms src/subcommands/daemon",
    lmstack: "the one question that `observe` may ask of `lms`",
    changes: leavesDown("daemon", "status", "--json"),
  },
  {
    id: "LMS-027",
    words: "`lms server status` does not start the daemon",
    source: "lms src/subcommands/server.ts",
    lmstack: "may be called at any time",
    changes: leavesDown("server", "status", "--json"),
  },
  {
    id: "LMS-028",
    words: "`lms server stop` does not start the daemon",
    source: "lms src/subcommands/server.ts",
    lmstack: "may be called at any time",
    changes: leavesDown("server", "stop"),
  },
  {
    id: "LMS-029",
    words: "`lms import` needs no daemon and starts none",
    source: "lms src/subcommands/importCmd.ts",
    lmstack: "imports by itself, with `lms import`'s result",
    changes: async (scratch) => {
      const file = join(scratch.userHome, "New.gguf");
      await writeFile(file, "GGUF");
      await leavesDown("import", file, "--user-repo", "local/new", "-c", "-y")(scratch);
    },
  },
  {
    id: "LMS-030",
    words: "`lms bootstrap` and `lms version` do not start the daemon",
    source: "lms src/subcommands/bootstrap.ts, version.ts",
    lmstack: "`lms bootstrap` is not called: shell files are a person's own",
    changes: async (scratch) => {
      await writeFile(join(scratch.userHome, ".bashrc"), "");
      await leavesDown("bootstrap", "-y")(scratch);
      await leavesDown("version")(scratch);
    },
  },
  {
    id: "LMS-031",
    words: "a command that starts the daemon says `Waking up LM Studio service...` on stderr",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "kept out of the answers, which are on stdout",
    changes: async (scratch) =>
      ran(await scratch.lms("ls", "--json"), 0, { out: /^\[/, err: /^Waking up LM Studio service\.\.\.\n/ }),
  },
  {
    id: "LMS-032",
    words:
      "where no installation is recorded, waking fails: `… no valid installation could be found or installed.`, exit 1",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "installs anew when the recorded version is not the declared one",
    onlyStandIn: "the real one may find the application instead, or install itself",
    changes: async (scratch) => {
      await rm(scratch.file(".internal", "llmster-install-location.json"));
      ran(await scratch.lms("ls"), 1, { err: /no valid installation could be found or installed\./ });
    },
  },
  {
    id: "LMS-033",
    words:
      "a daemon that does not come up is given up after 60 tries: `Timed out waiting for LM Studio daemon to start.`, exit 1",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "waits 90 s for `daemon up`, then the supervisor tries again with longer and longer pauses",
    traps: { daemonStartMs: 60_000, wakePollMs: 1 },
    changes: async (scratch) => {
      ran(await scratch.lms("ls"), 1, {
        err: /Timed out waiting for LM Studio daemon to start\.\n.*Failed to start or connect to local LM Studio API server\./,
      });
    },
  },
  {
    id: "LMS-034",
    words: "the daemon that a command starts is detached: it has a session of its own and outlives the command",
    source: "lmstudio-js lms-common-server/src/findOrStartLlmster.ts",
    lmstack: "the supervisor takes over a daemon that something else started",
    changes: async (scratch) => {
      const { pid } = await scratch.daemonUp();
      const [parent, , session] =
        (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ").slice(1) ?? [];
      assert.deepEqual([parent === String(process.pid), session], [false, String(pid)]);
    },
  },
  {
    id: "LMS-038",
    words: "`daemon up --json` tells status, pid, isDaemon and version",
    source: "lms src/subcommands/daemon",
    lmstack: "the pid is watched; `isDaemon: false` is a refusal in words",
    needs: "daemon",
    reads: async (place) => {
      const up = await place.json("daemon", "up");
      shape(up, { status: "string", pid: "number", isDaemon: "boolean", version: "string" });
      assert.equal(up.status, "running");
    },
  },
  {
    id: "LMS-039",
    words: "`lms daemon update` does not start the daemon",
    source: "lms src/subcommands/daemon",
    lmstack: "never calls it: a version is a tarball with its sha512",
    onlyStandIn: "it would update itself",
    changes: leavesDown("daemon", "update"),
  },
];
