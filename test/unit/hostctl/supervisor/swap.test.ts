import { join } from "node:path";
import { expect, test } from "vitest";
import { Scratch } from "../scratch.ts";
import { AdminSockets } from "./admin-sockets.ts";

test("a model whose context changes is unloaded only when its requests have ended, and they go on when it is there again", {
  timeout: 120_000,
}, async () => {
  await using host = await Scratch.make({ traps: { traps: { lmsDelayMs: 60, loadMs: 500 } } });
  await host.must("converge", "lmstudio", host.lmstudio());
  await host.must("converge", "model", host.model("alpha"));
  await using proxy = await AdminSockets.in(join(host.home, ".lmstack/proxy"));
  /** What was loaded whenever the proxy was called. */
  const seen: { call: string; loaded: readonly string[] }[] = [];
  let running = 3;
  proxy.answer = (call, response) => {
    // One that cannot follow a model to another instance.
    if (call.startsWith("GET")) return response.writeHead(404).end();
    // The supervisor proves what it loads, which is not what this is about.
    if (!call.includes("/-/models/")) return response.end("{}");
    void host.instances().then((loaded) => {
      seen.push({ call: call.replace(/\?.*/, ""), loaded });
      response.end(JSON.stringify({ model: "alpha", running: running--, queued: 0, heldUntil: 1 }));
    });
  };

  const larger = host.model("alpha", { load: { gpu: "max", contextLength: 8192, parallel: 2 } });
  const { changed } = await host.must("converge", "model", larger);
  expect(changed).toMatchObject([{ to: "loaded with context 8192, parallel 2" }]);
  expect(seen.at(-1)?.call).toBe("POST /-/models/alpha/resume");
  expect(seen.length).toBeGreaterThanOrEqual(5);
  for (const [index, { call, loaded }] of seen.slice(0, -1).entries()) {
    expect(call).toBe("POST /-/models/alpha/hold");
    if (index < 4) expect(loaded).toEqual(["alpha"]);
  }
  expect(seen.at(-1)?.loaded).toEqual(["alpha"]);
});
