import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { freePort, Processes } from "./processes.ts";

it("the health command names the admin socket of this very process, so that it can be told from its neighbours", async () => {
  await using proxies = await Processes.make();
  await proxies.configure({ listen: { port: await freePort() }, upstream: "http://127.0.0.1:9" });
  proxies.start();
  const { socketPath } = await proxies.serving();
  const health = promisify(execFile)(process.execPath, [proxies.program, "health"], {
    env: { ...process.env, TMPDIR: proxies.folder, NODE_OPTIONS: "" },
  });
  expect((await health).stdout).toBe(`${socketPath}\n`);
});
