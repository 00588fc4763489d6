/** `lms` itself: streams, exit codes, flags that every command takes, and its place on a shell's PATH. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Fact } from "../fact.ts";
import { assert, ran } from "./words.ts";

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
];
