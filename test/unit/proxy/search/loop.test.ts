import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SearchLoop } from "../../../../proxy/search/loop.ts";
import { Searcher } from "../../../../proxy/search/searcher.ts";
import type { SearchOutcome } from "../../../../proxy/search/searxng.ts";
import { type Searxng, startSearxng } from "../../../searxng/server.ts";

let searxng: Searxng;
let searcher: Searcher;
let outcomes: SearchOutcome[];
let settled: Map<string, string>;

beforeEach(async () => {
  searxng = await startSearxng();
  outcomes = [];
  settled = new Map();
  searcher = new Searcher(pino({ level: "silent" }), (outcome) => outcomes.push(outcome));
});
afterEach(async () => {
  await searcher.close();
  await searxng[Symbol.asyncDispose]();
});

/** A loop, and what it would send upstream in the next round. */
function start(perAnswer = 8, signal = new AbortController().signal) {
  const loop = new SearchLoop({
    searcher,
    config: { searxng: searxng.url, perAnswer, seconds: 5 },
    settings: { domains: [], results: 8 },
    requestId: "r1",
    request: (items) => ({ method: "POST", path: "/", headers: [], body: [Buffer.from(JSON.stringify(items))] }),
    onDefect: (error) => {
      throw error;
    },
  });
  let number = 0;
  return async (
    queries: readonly string[],
    more: { callsClient?: boolean; output?: Record<string, unknown>[] } = {},
  ) => {
    const searches = queries.map((query) => ({ id: `ws_${++number}`, query }));
    const round = { searches, callsClient: false, output: [], ...more };
    const next = await loop.next(round, (id, status) => void settled.set(id, status), signal);
    return next && JSON.parse(String((next.body as Buffer[])[0]));
  };
}

it("the next round has all that the answer put out, searches behind the rest of their round", async () => {
  const round = start();
  const said = { type: "message", role: "assistant", content: [] };
  const first = [
    said,
    { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "lmstack" } },
  ];
  expect(await round(["lmstack"], { output: [said] })).toEqual(first);
  expect(await round(["a", "notes"])).toMatchObject([...first, { id: "ws_2" }, { id: "ws_3" }]);
  expect([...settled.values()]).toEqual(["completed", "completed", "completed"]);
  expect(searcher.recall("ws_1")).toContain("heliotrope");
});

it("searches of one round run side by side", async () => {
  const waiting: (() => void)[] = [];
  searxng.answer = (response) => waiting.push(() => response.end()) === 2 && waiting.forEach((end) => void end());
  await start()(["one", "two"]);
  expect(searxng.queries.toSorted()).toEqual(["one", "two"]);
});

it("where the client has calls to answer, it is shown the searches and the answer ends", async () => {
  expect(await start()(["lmstack"], { callsClient: true })).toBeUndefined();
  expect(settled.get("ws_1")).toBe("completed");
  expect(searcher.recall("ws_1")).toContain("heliotrope");
});

it("an answer makes so many searches and no more; a model that does not take no for an answer is stopped", async () => {
  const round = start(2);
  expect(await round(["a", "b", "c"])).toHaveLength(3);
  expect(searcher.recall("ws_3")).toContain("No more searches can be made in this answer");
  expect(await round(["d"])).toBeUndefined();
  expect(searxng.queries.toSorted()).toEqual(["a", "b"]);
  expect(settled.get("ws_4")).toBe("failed");
  expect(outcomes.filter((outcome) => outcome === "limit")).toHaveLength(2);
});

it("a client that is gone is shown nothing more, and nothing more goes up", async () => {
  const client = new AbortController();
  searxng.answer = () => client.abort();
  expect(await start(8, client.signal)(["lmstack"])).toBeUndefined();
  expect(settled.size).toBe(0);
  await expect.poll(() => searxng.abandoned()).toBe(1);
});
