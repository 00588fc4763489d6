/** The load of a fleet run against one proxy, before it is let loose on three hosts. */
import { createHash } from "node:crypto";
import { expect, test, vi } from "vitest";
import { Conversations } from "../../fleet-runs/conversations.ts";
import { answersBy, wrongWith } from "../../fleet-runs/judge.ts";
import { modelId, scripts } from "../../fleet-runs/models.ts";
import { Thread } from "../../fleet-runs/thread.ts";
import { startSimServer } from "../../lmstudio-sim/index.ts";
import { ProxyProcess } from "../../proxy-runs/proxy-process.ts";

const key = "sk-fleet-runs";
const always = [{ model: "A", from: 0, to: Number.MAX_SAFE_INTEGER }] as const;

test("each turn calls a tool and is answered, its thread known by its header, and a server that goes away is noticed", async () => {
  await using sim = await startSimServer({
    models: [{ id: modelId, loaded: true, contextLength: 65_536, parallel: 4, ...scripts.A, tokenMs: 1 }],
  });
  await using proxy = await ProxyProcess.start({
    upstream: sim.url,
    models: { [modelId]: { thinking: "off", slots: 4, contextLength: 65_536 } },
    keys: [{ id: "team-a", sha256: createHash("sha256").update(key).digest("hex") }],
  });
  await using load = new Conversations(2, () => `http://127.0.0.1:${proxy.port}/v1`, key);
  const turns = load.take();
  await vi.waitFor(() => expect(turns.push(...load.take())).toBeGreaterThan(11), { timeout: 20_000, interval: 50 });
  expect(turns.map((turn) => wrongWith(turn, always))).toEqual(turns.map(() => null));
  expect(turns.filter(({ called }) => called).length).toBeGreaterThan(3);
  expect(answersBy(turns).A).toBeGreaterThan(3);
  expect(new Set(turns.map(({ thread }) => thread)).size).toBe(2);

  await sim.close();
  const failed: string[] = [];
  await vi.waitFor(
    () => {
      failed.push(...load.take().flatMap((turn) => wrongWith(turn, always) ?? []));
      expect(failed.join()).toMatch(/cut|failed/);
    },
    { timeout: 20_000, interval: 50 },
  );
});

test("a request is as long as Codex's, and the next one only adds to it", () => {
  const thread = new Thread("t-1", modelId);
  thread.ask("Look.");
  const first = thread.body();
  expect(first.length).toBeGreaterThan(38_000);
  expect(thread.take([{ type: "function_call", call_id: "c1", name: "exec_command", arguments: "{}" }])).toBe(true);
  expect(thread.take([{ type: "message", role: "assistant", content: [] }])).toBe(false);
  const input = (body: string) => JSON.parse(body) as { input: { type: string }[]; prompt_cache_key: string };
  expect(input(thread.body()).input.slice(0, input(first).input.length)).toEqual(input(first).input);
  expect(
    input(thread.body())
      .input.map(({ type }) => type)
      .slice(-3),
  ).toEqual(["function_call", "function_call_output", "message"]);
  expect(thread.headers("k")).toMatchObject({ "session-id": "t-1", authorization: "Bearer k" });
  expect(input(first).prompt_cache_key).toBe("t-1");
});
