/** A client that goes away, and a daemon or server that does. */
import type { Fact } from "../fact.ts";
import { freePort, listensOn, loopback, until } from "../scratch.ts";
import { ask } from "./served.ts";
import { assert } from "./words.ts";

export const interruptions: readonly Fact[] = [
  {
    id: "LMS-235",
    words: "a client that goes away ends its generation",
    source: "seen",
    lmstack: "the proxy closes its own connection when the client's closes",
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      const leaving = new AbortController();
      const asked = fetch(`http://127.0.0.1:${scratch.port}/v1/chat/completions`, {
        method: "POST",
        signal: leaving.signal,
        body: JSON.stringify({
          model: "X",
          stream: true,
          messages: [{ role: "user", content: "Write a very long story. sim:tokens=20000 sim:pace=5" }],
        }),
      });
      await (await asked).body?.getReader().read();
      leaving.abort();
      await until(async () => (await scratch.json("ps"))[0].status === "idle");
    },
  },
  {
    id: "LMS-237",
    words: "the daemon may crash in the middle of an answer: the connection breaks and its server is gone",
    source: "lms#511, lms#588",
    lmstack: "the client gets an end that it can read; the supervisor starts daemon, server and models again",
    traps: { crashAfterTokens: 5 },
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      await assert.rejects(ask(scratch, "X"));
      await until(async () => !(await scratch.daemonRuns()));
    },
  },
  {
    id: "LMS-238",
    words: "the daemon may crash after it has served for a while",
    source: "lms#511, lms#588",
    lmstack: "the supervisor starts daemon, server and models again",
    traps: { crashAfterRequests: 3 },
    changes: async (scratch) => {
      await scratch.load("X");
      await scratch.serve();
      assert.equal((await ask(scratch, "X")).status, 200);
      assert.equal((await ask(scratch, "X")).status, 200);
      await ask(scratch, "X").catch(() => {});
      await until(async () => !(await scratch.daemonRuns()));
    },
  },
  {
    id: "LMS-239",
    words: "the server may hang: it takes connections and answers nothing, the greeting neither",
    source: "lms#588, BT#1967",
    lmstack: "eight silent greetings in a row count as hung: the server is started again, then the daemon",
    traps: { serverHangs: true },
    changes: async (scratch) => {
      const port = await freePort();
      assert.equal((await scratch.lms("server", "start", "--port", String(port))).code, 1);
      assert.deepEqual(await scratch.json("server", "status"), { running: false, port });
      assert.deepEqual(await listensOn(port), [loopback]);
      assert.ok(await scratch.daemonRuns());
    },
  },
];
