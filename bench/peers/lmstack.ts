/** Our own proxy: the bundle that hosts run, as one process, with every feature on. */
import { createHash } from "node:crypto";
import { openSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundleProxy } from "../../infra/host/bundle.ts";
import { proxyNodeOptions } from "../../infra/spec/host-layout.ts";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { startChild, whenReady } from "../children.ts";
import { benchKey } from "../load/request.ts";
import { accepting, freePort, type Peer, type PeerContext, type RunningPeer } from "./peer.ts";

/** `more`: settings other than the ordinary ones. */
export const lmstackWith = (more: Partial<ProxyConfigInput>): Peer => ({
  name: "lmstack",
  slow: false,
  prepare: async () => `Node ${process.version}`,
  async start(context) {
    const { port, child } = await startProxy(context, more);
    await whenReady(child, "the proxy", accepting(port, 10));
    return { port, process: child } satisfies RunningPeer;
  },
});
export const lmstack = lmstackWith({});

let bundled: Promise<Uint8Array> | undefined;
let started = 0;

/** The process just spawned, not yet listening. */
export async function startProxy({ backendPort, core, folder }: PeerContext, more: Partial<ProxyConfigInput> = {}) {
  const own = join(folder, `lmstack-${++started}`);
  await mkdir(own);
  bundled ??= bundleProxy();
  const program = join(own, "proxy.mjs");
  await writeFile(program, await bundled);
  const port = await freePort();
  const keys = [{ id: "bench", sha256: createHash("sha256").update(benchKey).digest("hex") }];
  await writeFile(join(own, "keys.json"), JSON.stringify({ keys }), { mode: 0o600 });
  await writeFile(join(own, "proxy.json"), JSON.stringify({ ...configuration(port, backendPort), ...more }));
  const log = openSync(join(own, "access.log"), "w");
  const command = [process.execPath, ...proxyNodeOptions, program, "--config", join(own, "proxy.json")];
  // As on a host: nothing of this run's own environment changes how Node works.
  const env = { ...process.env, NODE_OPTIONS: "", NODE_COMPILE_CACHE: undefined, TMPDIR: own };
  const child = startChild(command, { core, env, stdio: ["ignore", log, "pipe"] });
  return { port, child, spawned: performance.now() };
}

/** Slots are there, so that every request goes through admission, and so many that they do not decide what is measured. */
function configuration(port: number, backendPort: number): ProxyConfigInput {
  return {
    listen: { host: "127.0.0.1", port },
    upstream: `http://127.0.0.1:${backendPort}`,
    models: {
      bench: { thinking: "off", slots: 64 },
      "bench-client": { thinking: "client", slots: 64 },
      "bench-idle": { thinking: "off", slots: 4096 },
      "bench-one": { thinking: "off", slots: 1 },
    },
    keysFile: "keys.json",
    captures: 100,
    drainSeconds: 0,
  };
}
