/** `lms daemon` and `lms server`. */

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Fact } from "../fact.ts";
import { freePort, listensOn, loopback, until } from "../scratch.ts";
import { assert, ran } from "./words.ts";

const daemon = "lms src/subcommands/daemon";
const server = "lms src/subcommands/server.ts";
const config = ".internal/http-server-config.json";
const looks = "after every start it looks: who greets, on which address";

export const daemonAndServer: readonly Fact[] = [
  {
    id: "LMS-041",
    words: "`daemon up` is idempotent: the same pid, exit 0",
    source: daemon,
    lmstack: "the supervisor calls it whenever no daemon runs",
    changes: async (scratch) => assert.deepEqual(await scratch.daemonUp(), await scratch.daemonUp()),
  },
  {
    id: "LMS-042",
    words: "`daemon up` says `llmster started (PID: N).` the first time",
    source: daemon,
    lmstack: "reads the JSON instead",
    changes: async (scratch) => ran(await scratch.lms("daemon", "up"), 0, { err: /llmster started \(PID: \d+\)\.\n$/ }),
  },
  {
    id: "LMS-043",
    words: "`daemon up` says `The daemon is already running (PID: N).` later",
    source: daemon,
    lmstack: "reads the JSON instead",
    changes: async (scratch) => {
      const { pid } = await scratch.daemonUp();
      ran(await scratch.lms("daemon", "up"), 0, {
        err: new RegExp(`^The daemon is already running \\(PID: ${pid}\\)\\.\\n$`),
      });
    },
  },
  {
    id: "LMS-044",
    words: "where the application runs, `daemon up` starts nothing and says so; `isDaemon` is false",
    source: daemon,
    lmstack: "refuses: the application owns the daemon, quit it",
    traps: { ownedByGui: true },
    changes: async (scratch) => {
      assert.equal((await scratch.daemonUp()).isDaemon, false);
      ran(await scratch.lms("daemon", "up"), 0, {
        err: /^LM Studio is already running \(PID: \d+\); not starting a second daemon\.\n$/,
      });
    },
  },
  {
    id: "LMS-045",
    words: '`daemon status --json` without a daemon: `{status: "not-running"}`, exit 0',
    source: daemon,
    lmstack: "the status counts, not the exit",
    changes: async (scratch) =>
      ran(await scratch.lms("daemon", "status", "--json"), 0, { out: /^\{"status":"not-running"\}\n$/ }),
  },
  {
    id: "LMS-046",
    words: "`daemon status --json` with a daemon: status, pid and isDaemon, without the version",
    source: daemon,
    lmstack: "reads pid and isDaemon",
    needs: "daemon",
    reads: async (place) => {
      const status = await place.json("daemon", "status");
      assert.deepEqual(Object.keys(status).sort(), ["isDaemon", "pid", "status"]);
    },
  },
  {
    id: "LMS-047",
    words: "`daemon status` says `LM Studio is not running` on stderr, exit 0",
    source: daemon,
    lmstack: "reads the JSON instead",
    changes: async (scratch) => ran(await scratch.lms("daemon", "status"), 0, { err: /^LM Studio is not running\n$/ }),
  },
  {
    id: "LMS-048",
    words: "`daemon status` says `llmster v… is running (PID: N)` on stderr",
    source: `${daemon}; seen`,
    lmstack: "reads the JSON instead",
    needs: "daemon",
    reads: async (place) =>
      ran(await place.lms("daemon", "status"), 0, { err: /^(llmster|LM Studio) .*is running \(PID: \d+\)/ }),
  },
  {
    id: "LMS-049",
    words: "`daemon down` says `Shutting down llmster...` and `Done.`, exit 0",
    source: daemon,
    lmstack: "waits for the process after that",
    changes: async (scratch) => {
      await scratch.daemonUp();
      ran(await scratch.lms("daemon", "down"), 0, { err: /^Shutting down llmster\.\.\.\nDone\.\n$/ });
    },
  },
  {
    id: "LMS-050",
    words: "`daemon down` without a daemon: `Daemon is not running.`, exit 1",
    source: daemon,
    lmstack: "asks the status first",
    changes: async (scratch) => ran(await scratch.lms("daemon", "down"), 1, { err: /Daemon is not running\./ }),
  },
  {
    id: "LMS-051",
    words: "`daemon down` refuses to end the application's daemon: exit 1",
    source: daemon,
    lmstack: "refuses before it touches anything",
    traps: { ownedByGui: true },
    changes: async (scratch) => {
      await scratch.daemonUp();
      ran(await scratch.lms("daemon", "down"), 1, {
        err: /The daemon is currently running as part of LM Studio\. Please exit LM Studio to stop it\./,
      });
    },
  },
  {
    id: "LMS-052",
    words: "`daemon down` returns while the process still lives",
    source: daemon,
    lmstack: "waits until the pid is gone, and kills it after 15 s",
    traps: { downExitMs: 30_000 },
    changes: async (scratch) => {
      const { pid } = await scratch.daemonUp();
      await scratch.lms("daemon", "down");
      assert.equal((await scratch.json("daemon", "status")).pid, pid);
    },
  },
  {
    id: "LMS-053",
    words: "`daemon update` takes no version: `--beta` and `--channel` only",
    source: daemon,
    lmstack: "never calls it: a version is a tarball with its sha512",
    changes: async (scratch) => assert.equal((await scratch.lms("daemon", "update", "--version-pin", "0.0.1")).code, 1),
  },
  {
    id: "LMS-054",
    words: "the daemon's life and the HTTP server's are separate: a started daemon serves nothing",
    source: "docs headless.md",
    lmstack: "starts and watches both",
    changes: async (scratch) => {
      const port = await freePort();
      await scratch.writeJson(config, { port });
      await scratch.daemonUp();
      assert.deepEqual(await listensOn(port), []);
    },
  },
  {
    id: "LMS-055",
    words: "`server start` says `Success! Server is now running on port N` on stderr, exit 0",
    source: server,
    lmstack: looks,
    changes: async (scratch) => ran(await scratch.serve(), 0, { err: /Success! Server is now running on port \d+\n$/ }),
  },
  {
    id: "LMS-056",
    words: "the port of `server start` sticks: it is in http-server-config.json, and the next start takes it",
    source: server,
    lmstack: "writes it and passes it every time",
    changes: async (scratch) => {
      await scratch.serve();
      assert.equal((await scratch.readJson(config)).port, scratch.port);
      await scratch.lms("server", "stop");
      ran(await scratch.lms("server", "start"), 0, { err: new RegExp(`on port ${scratch.port}\\n$`) });
    },
  },
  {
    id: "LMS-057",
    words: "without `--bind` the server listens on 127.0.0.1",
    source: server,
    lmstack: looks,
    changes: async (scratch) => {
      await scratch.serve();
      assert.deepEqual(await listensOn(scratch.port as number), [loopback]);
    },
  },
  {
    id: "LMS-058",
    words: "`--bind` is honoured and does not stick: the next start is on 127.0.0.1 again",
    source: server,
    lmstack: "passes it every time",
    changes: async (scratch) => {
      await scratch.serve("--bind", "0.0.0.0");
      assert.notDeepEqual(await listensOn(scratch.port as number), [loopback]);
      await scratch.lms("server", "stop");
      await scratch.lms("server", "start");
      assert.deepEqual(await listensOn(scratch.port as number), [loopback]);
    },
  },
  {
    id: "LMS-059",
    words: "`networkInterface` of http-server-config.json is not read by `server start`",
    source: server,
    lmstack: "passes `--bind` every time",
    changes: async (scratch) => {
      await scratch.writeJson(config, { networkInterface: "0.0.0.0" });
      await scratch.serve();
      assert.deepEqual(await listensOn(scratch.port as number), [loopback]);
    },
  },
  {
    id: "LMS-060",
    words: "`LMS_SERVER_HOST` is the address where `--bind` says none",
    source: server,
    lmstack: "passes `--bind`, which wins",
    changes: async (scratch) => {
      const port = await freePort();
      await scratch.lmsWith({ LMS_SERVER_HOST: "0.0.0.0" }, "server", "start", "--port", String(port));
      assert.notDeepEqual(await listensOn(port), [loopback]);
    },
  },
  {
    id: "LMS-061",
    words: "CORS is on with `--cors`, and off again at the next start without it",
    source: server,
    lmstack: "is never switched on: the proxy has CORS of its own",
    changes: async (scratch) => {
      const allowed = async () => (await scratch.get("/v1/models")).headers.get("access-control-allow-origin");
      await scratch.serve("--cors");
      assert.equal(await allowed(), "*");
      await scratch.lms("server", "stop");
      await scratch.lms("server", "start");
      assert.equal(await allowed(), null);
    },
  },
  {
    id: "LMS-062",
    words: "a port outside of 0 to 65535 is refused by the parser: exit 1",
    source: server,
    lmstack: "the spec refuses it first",
    changes: async (scratch) => assert.equal((await scratch.lms("server", "start", "--port", "65536")).code, 1),
  },
  {
    id: "LMS-063",
    words: '`GET /lmstudio-greeting` answers 200 `{"lmstudio":true}`',
    source: server,
    lmstack: "asked on every look",
    needs: "server",
    reads: async (place) => {
      const { status, json } = await place.get("/lmstudio-greeting");
      assert.deepEqual([status, json], [200, { lmstudio: true }]);
    },
  },
  {
    id: "LMS-064",
    words:
      "a port that somebody else has: `Failed to verify the server is running. Please try to use another port.`, exit 1",
    source: server,
    lmstack: "refuses before the start, with the port's name",
    changes: async (scratch) => {
      const other = createServer((_, response) => response.end("no"));
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = other.address() as AddressInfo;
        ran(await scratch.lms("server", "start", "--port", String(port)), 1, {
          err: /Failed to verify the server is running\. Please try to use another port\./,
        });
      } finally {
        other.closeAllConnections();
        other.close();
      }
    },
  },
  {
    id: "LMS-065",
    words: "`server start` may exit 1 although the server runs",
    source: "BT#1720",
    version: "older lms",
    lmstack: looks,
    traps: { serverVerifyFails: true },
    changes: async (scratch) => {
      const port = await freePort();
      assert.equal((await scratch.lms("server", "start", "--port", String(port))).code, 1);
      assert.deepEqual(await scratch.json("server", "status"), { running: true, port });
    },
  },
  {
    id: "LMS-066",
    words: "`--bind 0.0.0.0` was once not honoured: the server listened on loopback",
    source: "seen",
    lmstack: "binds to loopback alone and reads the listening address from the kernel",
    traps: { bindIgnored: true },
    changes: async (scratch) => {
      await scratch.serve("--bind", "0.0.0.0");
      assert.deepEqual(await listensOn(scratch.port as number), [loopback]);
    },
  },
  {
    id: "LMS-067",
    words: "`server stop` without a server: `Error: The server is not running.`, exit 1",
    source: server,
    lmstack: "exit 1 of it is no failure",
    changes: async (scratch) =>
      ran(await scratch.lms("server", "stop"), 1, { err: /^Error: The server is not running\.\n$/ }),
  },
  {
    id: "LMS-068",
    words: "`server stop` says `Stopped the server on port N.`, exit 0; the daemon goes on",
    source: server,
    lmstack: "stops a server of a wrong address this way",
    changes: async (scratch) => {
      await scratch.serve();
      ran(await scratch.lms("server", "stop"), 0, {
        err: new RegExp(`^Stopped the server on port ${scratch.port}\\.\\n$`),
      });
      assert.ok(await scratch.daemonRuns());
    },
  },
  {
    id: "LMS-069",
    words: "`server status --json` has no `port` where no server was ever started, exit 0",
    source: server,
    lmstack: "a missing port is no port",
    changes: async (scratch) => {
      assert.ok(!existsSync(scratch.file(config)));
      ran(await scratch.lms("server", "status", "--json"), 0, { out: /^\{"running":false\}\n$/ });
    },
  },
  {
    id: "LMS-070",
    words: "`server status --json` is `{running, port}` and nothing else",
    source: `${server}, commit 98f6ddc`,
    lmstack: "used when an LM Studio is taken over",
    needs: "server",
    reads: async (place) =>
      ran(await place.lms("server", "status", "--json"), 0, {
        out: new RegExp(`^\\{"running":true,"port":${place.port}\\}\\n$`),
      }),
  },
  {
    id: "LMS-071",
    words: "`server status` exits 0 also when nothing runs, and speaks on stderr",
    source: server,
    lmstack: "reads the JSON instead",
    changes: async (scratch) => {
      const { code, out, err } = await scratch.lms("server", "status");
      assert.deepEqual([code, out, err.length > 0], [0, "", true]);
    },
  },
  {
    id: "LMS-072",
    words: "`server status` goes by the configured port and its greeting, whoever greets there",
    source: server,
    lmstack: "a greeting counts only while the daemon's process is alive",
    changes: async (scratch) => {
      const other = createServer((_, response) => response.end('{"lmstudio":true}'));
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = other.address() as AddressInfo;
        await scratch.writeJson(config, { port });
        assert.deepEqual(await scratch.json("server", "status"), { running: true, port });
      } finally {
        other.closeAllConnections();
        other.close();
      }
    },
  },
  {
    id: "LMS-073",
    words: "with `autoStartOnLaunch` the daemon starts the server by itself",
    source: "seen",
    lmstack: "switched off: the supervisor starts it with the declared address",
    changes: async (scratch) => {
      const port = await freePort();
      await scratch.writeJson(config, { autoStartOnLaunch: true, port });
      await scratch.daemonUp();
      await until(async () => (await scratch.json("server", "status")).running);
    },
  },
  {
    id: "LMS-074",
    words: "a server that was killed with its daemon does not come back by itself",
    source: "docs headless_llmster.mdx (oneshot unit)",
    lmstack: "the supervisor starts daemon, server and models again",
    changes: async (scratch) => {
      await scratch.serve();
      process.kill((await scratch.daemonUp()).pid, "SIGKILL");
      await delay(200);
      await scratch.daemonUp();
      assert.equal((await scratch.json("server", "status")).running, false);
    },
  },
  {
    id: "LMS-075",
    words: "`daemon update` on a Linux without ldconfig or libatomic.so.1 fails: exit 1",
    source: "lms commit of 2026-03-05",
    lmstack: "checks both before anything is installed, and names the package",
    traps: { libatomicMissing: true },
    changes: async (scratch) => ran(await scratch.lms("daemon", "update"), 1, { err: /libatomic\.so\.1/ }),
  },
];
