import { expect, test } from "vitest";
import { startTestProxy } from "../../proxy/harness.ts";
import { Scratch } from "../scratch.ts";

test("prove asks LM Studio's loaded model as declared, gives the figures, and fails with a transcript when it thinks", {
  timeout: 120_000,
}, async () => {
  await using host = await Scratch.make();
  await host.must("converge", "lmstudio", host.lmstudio());
  await host.must("converge", "model", host.model("alpha"));
  const upstream = `http://127.0.0.1:${host.port}`;
  await using proxy = await startTestProxy({ upstream, models: { alpha: { thinking: "off" } } });
  const models = [{ id: "alpha", thinking: "off", contextLength: 4096 }];
  const document = { stack: "test", token: "t1", become: "none", models, port: proxy.port };
  const held = await host.must("prove", "", document);
  expect(held.observed).toMatchObject({ proofs: [{ id: "alpha", ok: true, contextAccepted: expect.any(Number) }] });
  expect(held.stderr).toMatch(/proving alpha on \/v1\/responses[\s\S]*proved alpha: [\d.]+ tokens\/s/);

  host.setTraps({ thinksAnyway: true });
  const { ok, error, stderr } = await host.run("prove", "", document);
  expect({ ok, code: error?.code }).toEqual({ ok: false, code: "proof_failed" });
  expect(error?.message).toMatch(
    /model alpha on \/v1\/responses: it thought: .*\n {2}asked: .*\n {2}expected: .*\n {2}came: /,
  );
  expect(stderr).toContain("asked:");
});
