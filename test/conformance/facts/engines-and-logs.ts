/** `lms runtime` and `lms log`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Fact } from "../fact.ts";
import { until } from "../scratch.ts";
import { assert, ran, shape } from "./words.ts";

const runtime = "lms src/subcommands/runtime";
const proves = "selects the declared engine by name@version and proves it with `runtime ls`";
const cuda12 = "llama.cpp-linux-x86_64-nvidia-cuda12";
const standInEngines = "it depends on the engines that are installed";

export const enginesAndLogs: readonly Fact[] = [
  {
    id: "LMS-181",
    words: "`runtime ls` is a table: name@version, a tick for the selected one, the model format",
    source: runtime,
    lmstack: "reads that table",
    needs: "daemon",
    reads: async (place) => {
      const { out } = await place.lms("runtime", "ls");
      assert.match(out, /SELECTED.*MODEL FORMAT/);
      assert.match(out, /^\s*\S+@\d\S*\s+✓/m);
    },
  },
  {
    id: "LMS-182",
    words: "`runtime survey --json` is `{engines: [{engine, name, version, compatibility: {status, message}}]}`",
    source: runtime,
    lmstack: "refuses an engine that is not compatible, with the reason",
    needs: "daemon",
    reads: async (place) => {
      const { engines } = await place.json("runtime", "survey");
      assert.ok(engines.length > 0);
      for (const engine of engines) {
        shape(engine, { engine: "string", name: "string", version: "string", compatibility: "object" });
        shape(engine.compatibility, { status: "string" });
      }
    },
  },
  {
    id: "LMS-183",
    words: "on a fresh installation the CPU engine may be the selected one though a CUDA engine is there",
    source: "seen",
    lmstack: proves,
    traps: { cpuEngineSelected: true },
    changes: async (scratch) => {
      const { out } = await scratch.lms("runtime", "ls");
      assert.match(out, /avx2@\S+ +✓/);
      assert.match(out, /nvidia-cuda12@/);
    },
  },
  {
    id: "LMS-184",
    words: "the CUDA 11 engine wants libcudart.so.11.0: `missingLibraries` in the survey",
    source: "seen",
    lmstack: "refuses such an engine, with the survey's message",
    onlyStandIn: standInEngines,
    changes: async (scratch) => {
      const { engines } = await scratch.json("runtime", "survey");
      const found = engines.find((engine: { name: string }) => engine.name === "llama.cpp-linux-x86_64-nvidia-cuda");
      assert.equal(found.compatibility.status, "missingLibraries");
      assert.match(found.compatibility.message, /libcudart\.so\.11\.0/);
    },
  },
  {
    id: "LMS-185",
    words: "`runtime select` says `Selected X for gguf`, and later `Already selected …`",
    source: runtime,
    lmstack: proves,
    onlyStandIn: standInEngines,
    changes: async (scratch) => {
      ran(await scratch.lms("runtime", "select", cuda12), 0, { err: /Selected \S+@\S+ for gguf\n$/ });
      ran(await scratch.lms("runtime", "select", cuda12), 0, { err: /^Already selected/ });
      assert.ok(existsSync(scratch.file(".internal", "backend-preferences-v1.json")));
    },
  },
  {
    id: "LMS-186",
    words: "`runtime select` of nothing that is installed: exit 1",
    source: runtime,
    lmstack: "says which engines are installed",
    needs: "daemon",
    reads: async (place) => assert.equal((await place.lms("runtime", "select", "no-such-engine")).code, 1),
  },
  {
    id: "LMS-187",
    words: "`runtime select` of a part that fits several engines: exit 1",
    source: runtime,
    lmstack: "gives name and version",
    onlyStandIn: standInEngines,
    changes: async (scratch) => assert.equal((await scratch.lms("runtime", "select", "nvidia")).code, 1),
  },
  {
    id: "LMS-188",
    words: "`runtime get` that finds nothing exits 0",
    source: runtime,
    lmstack: "looks whether the engine is there",
    onlyStandIn: "it asks LM Studio's servers",
    changes: async (scratch) => assert.equal((await scratch.lms("runtime", "get", "no-such-engine")).code, 0),
  },
  {
    id: "LMS-189",
    words: "`runtime get` that finds several exits 1 without a terminal and `-y`",
    source: runtime,
    lmstack: "not used",
    onlyStandIn: "it asks LM Studio's servers",
    changes: async (scratch) => assert.equal((await scratch.lms("runtime", "get")).code, 1),
  },
  {
    id: "LMS-190",
    words: "an engine that `runtime get` brings is not selected by that",
    source: "seen",
    lmstack: proves,
    onlyStandIn: "it asks LM Studio's servers",
    changes: async (scratch) => {
      const before = /^(\S+@\S+) +✓/m.exec((await scratch.lms("runtime", "ls")).out)?.[1];
      assert.equal((await scratch.lms("runtime", "get", cuda12, "-y")).code, 0);
      const { out } = await scratch.lms("runtime", "ls");
      assert.ok(out.includes("nvidia-cuda12@2.26.0"));
      assert.equal(/^(\S+@\S+) +✓/m.exec(out)?.[1], before);
    },
  },
  {
    id: "LMS-191",
    words:
      "`runtime update` without a terminal and `--yes`: `Cannot prompt for confirmation in a non-interactive environment. Re-run with --yes.`, exit 1",
    source: runtime,
    lmstack: "not used: engines change with the declaration",
    onlyStandIn: "it asks LM Studio's servers",
    changes: async (scratch) =>
      ran(await scratch.lms("runtime", "update"), 1, {
        err: /Cannot prompt for confirmation in a non-interactive environment\. Re-run with --yes\./,
      }),
  },
  {
    id: "LMS-192",
    words: "`runtime remove --dry-run` removes nothing",
    source: runtime,
    lmstack: "not used",
    onlyStandIn: standInEngines,
    changes: async (scratch) => {
      assert.equal((await scratch.lms("runtime", "remove", cuda12, "--dry-run", "-y")).code, 0);
      assert.ok((await scratch.lms("runtime", "ls")).out.includes(`${cuda12}@`));
    },
  },
  {
    id: "LMS-193",
    words: "right after the daemon's start `runtime` may fail with `Text file busy`",
    source: "seen",
    lmstack: "the call is made again, six times with growing pauses",
    traps: { textFileBusyMs: 60_000 },
    changes: async (scratch) => ran(await scratch.lms("runtime", "survey", "--json"), 1, { err: /Text file busy/ }),
  },
  {
    id: "LMS-194",
    words: "`log stream --json` prints `{timestamp, data: {type}}` a line, prompts among them; SIGTERM is exit 0",
    source: "lms src/subcommands/log.ts",
    lmstack: "not used: prompts are nobody's business",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const follower = spawn(scratch.lmsProgram, ["log", "stream", "--json"], { env: scratch.environment() });
      let followed = "";
      follower.stdout.on("data", (chunk: Buffer) => {
        followed += chunk.toString();
      });
      await until(async () => {
        await scratch.post("/v1/responses", { model: "X", input: "planted prompt", max_output_tokens: 5 });
        return followed.includes("planted prompt");
      });
      follower.kill("SIGTERM");
      assert.deepEqual(await once(follower, "close"), [0, null]);
      const [first = ""] = followed.split("\n");
      shape(JSON.parse(first), { timestamp: "number", data: "object" });
      shape(JSON.parse(first).data, { type: "string" });
    },
  },
  {
    id: "LMS-195",
    words: "`lms log stream` starts the daemon",
    source: "lms src/createClient.ts",
    lmstack: "not used",
    changes: async (scratch) => {
      const follower = spawn(scratch.lmsProgram, ["log", "stream"], { env: scratch.environment(), stdio: "ignore" });
      try {
        await until(() => scratch.daemonRuns());
      } finally {
        follower.kill("SIGTERM");
        await once(follower, "close");
      }
    },
  },
];
