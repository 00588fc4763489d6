import { describe, expect, test } from "vitest";
import { proofFailure, proveOnce } from "../../../../hostctl/prove/prove-once.ts";
import type { ProvedModel } from "../../../../infra/spec/proof/dialect.ts";
import { type SimServer, type SimServerOptions, startSimServer } from "../../../lmstudio-sim/sim-server.ts";
import { startTestProxy, type TestProxy } from "../../proxy/harness.ts";

const id = "alpha";
const model: ProvedModel = { id, thinking: "off", contextLength: 4096 };

interface Place extends AsyncDisposable {
  readonly lmstudio: SimServer;
  readonly proxy: TestProxy;
}

async function place({ models = [{ id, contextLength: 4096 }], ...traps }: SimServerOptions = {}): Promise<Place> {
  const lmstudio = await startSimServer({ models, ...traps });
  const proxy = await startTestProxy({ upstream: lmstudio.url, models: { [id]: { thinking: "off" } } });
  const dispose = async () => {
    await proxy[Symbol.asyncDispose]();
    await lmstudio.close();
  };
  return { lmstudio, proxy, [Symbol.asyncDispose]: dispose };
}

const prove = ({ proxy }: Place, asked: ProvedModel = model) =>
  proveOnce({ host: "127.0.0.1", port: proxy.port }, asked, { depth: "full" });

describe("a proof through the proxy", () => {
  test("holds for a model as declared, with its pace and its whole context, in less than two seconds", async () => {
    await using there = await place();
    const proof = await prove(there);
    expect(proofFailure(proof)).toBeNull();
  });
});
