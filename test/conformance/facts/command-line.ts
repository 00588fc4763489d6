/** `lms` itself: streams, exit codes, the home that it finds, the daemon that it wakes or leaves asleep. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import type { Scratch } from "../scratch.ts";
import { until } from "../scratch.ts";
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

export const commandLine: readonly Fact[] = [
  {
    id: "LMS-001",
    words: "`lms --version` prints `CLI commit: <hash>` on stdout and exits 0",
    source: "lms src/index.ts, src/subcommands/version.ts",
    lmstack: "not used as a version",
    needs: "nothing",
    reads: async (place) => ran(await place.lms("--version"), 0, { out: /^CLI commit: [0-9a-f]{7,40}\n$/ }),
  },
  {
    id: "LMS-002",
    words: "`lms version --json` prints `{version}`, the commit again",
    source: "lms src/subcommands/version.ts",
    lmstack: "not used as a version",
    needs: "nothing",
    reads: async (place) => {
      const { version } = await place.json("version");
      assert.equal((await place.lms("--version")).out, `CLI commit: ${version}\n`);
    },
  },
  {
    id: "LMS-003",
    words: "the version of `lms` says nothing about the daemon's: `daemon up --json` and `llmster --version` do",
    source: "lms src/subcommands/version.ts; seen",
    lmstack: "reads the version from llmster's folder and the recorded install location",
    needs: "daemon",
    reads: async (place) => {
      const { version } = await place.json("daemon", "up");
      assert.match(version, /^\d+\.\d+\.\d+(\+\d+)?$/);
      assert.notEqual((await place.json("version")).version, version);
    },
  },
  {
    id: "LMS-004",
    words: "messages of every level go to stderr; stdout stays empty",
    source: "lms src/stderrConsole.ts, src/logLevel.ts",
    lmstack: "takes words from stderr and JSON from stdout, wherever in it the JSON begins",
    needs: "nothing",
    reads: async (place) => {
      const { out, err } = await place.lms("daemon", "status");
      assert.deepEqual([out, err.length > 0], ["", true]);
    },
  },
  {
    id: "LMS-005",
    words: "with `--json` stdout is one JSON document and nothing else",
    source: "lms src/stderrConsole.ts",
    lmstack: "parses stdout alone",
    needs: "daemon",
    reads: async (place) => {
      const { out } = await place.lms("ls", "--json");
      assert.ok(Array.isArray(JSON.parse(out)));
    },
  },
  {
    id: "LMS-006",
    words: "an error begins with `Error:` and exits 1",
    source: "lms src/index.ts",
    lmstack: "an error is told with LM Studio's own line",
    needs: "nothing",
    reads: async (place) =>
      ran(await place.lms("import", "/nowhere/at/all.gguf", "--user-repo", "a/b"), 1, {
        err: /^(Warning.*\n)?Error: /,
      }),
  },
  {
    id: "LMS-007",
    words: "an unknown option is a parse error: exit 1",
    source: "lms src/index.ts (commander)",
    lmstack: "uses documented options only",
    needs: "nothing",
    reads: async (place) => assert.equal((await place.lms("version", "--no-such-option")).code, 1),
  },
  {
    id: "LMS-008",
    words: "there is no `lms rm`: models are removed as files",
    source: "lms#579, lms#580",
    lmstack: "removes the file that it imported, after the unload",
    needs: "nothing",
    reads: async (place) => assert.equal((await place.lms("rm", "lmstack-conformance/none")).code, 1),
  },
  {
    id: "LMS-009",
    words: "`--log-level`, `--quiet` and `--verbose` are taken by most commands without being listed",
    source: "lms src/logLevel.ts",
    lmstack: "not used",
    needs: "nothing",
    reads: async (place) => {
      for (const flags of [["--quiet"], ["--verbose"], ["--log-level", "error"]])
        assert.equal((await place.lms("server", "status", ...flags)).code, 0, flags.join(" "));
    },
  },
  {
    id: "LMS-010",
    words: "`daemon`, `bootstrap` and `version` work without being in the help",
    source: "lms src/index.ts",
    lmstack: "uses `daemon` all the same",
    needs: "nothing",
    reads: async (place) => {
      const help = (await place.lms("--help")).out;
      for (const hidden of ["daemon", "bootstrap", "version"])
        assert.doesNotMatch(help, new RegExp(`^  ${hidden}\\b`, "m"));
      assert.match(help, /^ {2}load\b/m);
      assert.equal((await place.lms("daemon", "status")).code, 0);
    },
  },
  {
    id: "LMS-011",
    words: "`--host` with a protocol is refused: `Host should not include the protocol.`, exit 1",
    source: "lms src/createClient.ts",
    lmstack: "never uses `--host`: it works on the host itself",
    needs: "nothing",
    reads: async (place) =>
      ran(await place.lms("ps", "--host", "http://127.0.0.1"), 1, { err: /Host should not include the protocol\./ }),
  },
  {
    id: "LMS-012",
    words: "LM Studio's home is what `~/.lmstudio-home-pointer` says, before anything else",
    source: "lmstudio-js findLMStudioHome.ts",
    lmstack: "observes the folder, exports HOME, and removes only a pointer that it caused",
    onlyStandIn: "it would take LM Studio's own home away from it",
    changes: async (scratch) => {
      const elsewhere = join(scratch.userHome, "elsewhere");
      await mkdir(join(elsewhere, ".internal"), { recursive: true });
      await writeFile(join(elsewhere, ".internal", "http-server-config.json"), '{"port":4321}');
      await writeFile(join(scratch.userHome, ".lmstudio-home-pointer"), elsewhere);
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
      const old = join(scratch.userHome, ".cache", "lm-studio");
      await mkdir(join(old, ".internal"), { recursive: true });
      await writeFile(join(old, ".internal", "http-server-config.json"), '{"port":4322}');
      await rm(join(scratch.userHome, ".lmstudio-home-pointer"), { force: true });
      assert.equal((await scratch.json("server", "status")).port, 4322);
    },
  },
  {
    id: "LMS-014",
    words: "looking for the home writes the pointer",
    source: "lmstudio-js findLMStudioHome.ts",
    lmstack: "the pointer goes with the removal when lmstack caused it",
    changes: async (scratch) => {
      const pointer = join(scratch.userHome, ".lmstudio-home-pointer");
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
    id: "LMS-035",
    words: "`lms` keeps a key for the daemon in `.internal/lms-key-2`",
    source: "lms src/createClient.ts",
    lmstack: "left alone",
    needs: "daemon",
    reads: async (place) => assert.ok((await readFile(place.file(".internal", "lms-key-2"), "utf8")).length > 0),
  },
  {
    id: "LMS-036",
    words: "`lms bootstrap` without a shell start file fails: exit 1",
    source: "lms src/subcommands/bootstrap.ts",
    lmstack: "not called",
    changes: async (scratch) => {
      for (const name of [".bashrc", ".zshrc", ".profile", ".bash_profile"])
        await rm(join(scratch.userHome, name), { force: true });
      assert.equal((await scratch.lms("bootstrap", "-y")).code, 1);
    },
  },
  {
    id: "LMS-037",
    words: "`lms bootstrap -y` puts `~/.lmstudio/bin` on the PATH of existing shell start files",
    source: "lms src/subcommands/bootstrap.ts",
    lmstack: "not called: a login shell finds `lms` only where a person wanted it",
    changes: async (scratch) => {
      const file = join(scratch.userHome, ".bashrc");
      await writeFile(file, "# mine\n");
      assert.equal((await scratch.lms("bootstrap", "-y")).code, 0);
      assert.match(await readFile(file, "utf8"), /^# mine\n[\s\S]*\.lmstudio\/bin/);
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
