/** Where real clients are let loose: the proxy with its keys on, in front of LM Studio's stand-in at its strictest. */
import { createHash } from "node:crypto";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { type SimServer, type SimServerOptions, startSimServer } from "../lmstudio-sim/index.ts";
import { startTestProxy, type TestProxy } from "../unit/proxy/harness.ts";

export const model = "sim-thinker";
export const key = "sk-clients-of-the-proxy";

export interface Place extends AsyncDisposable {
  readonly sim: SimServer;
  readonly proxy: TestProxy;
  /** Ends in `/v1`. */
  readonly baseUrl: string;
  /** Of the last request that LM Studio finished. */
  lastReasoning(): number | undefined;
  /** Resolves once LM Studio was told to stop a generation. */
  cancelled(): Promise<unknown>;
}

export async function startPlace(
  config: Partial<ProxyConfigInput> = {},
  models: SimServerOptions["models"] = [{ id: model, parallel: 4 }],
): Promise<Place> {
  const sim = await startSimServer({ models });
  const sha256 = createHash("sha256").update(key).digest("hex");
  const proxy = await startTestProxy({ upstream: sim.url, keys: [{ id: "clients", sha256 }], ...config });
  return {
    sim,
    proxy,
    baseUrl: `http://127.0.0.1:${proxy.port}/v1`,
    lastReasoning: () => {
      const last = sim.journal().findLast((entry) => entry.event === "finish");
      return last?.reasoningTokens as number | undefined;
    },
    cancelled: () => sim.waitFor((entry) => entry.event === "cancel"),
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await sim.close();
    },
  };
}
