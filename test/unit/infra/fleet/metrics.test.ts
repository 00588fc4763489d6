/** A host's figures as they are read from its proxy, with what the proxy itself writes. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { Gauge, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { askMetrics } from "../../../../infra/fleet/ask-metrics.ts";
import { busyOf, ratesBetween, readingOf, samplesIn } from "../../../../infra/fleet/metrics.ts";
import { Metrics } from "../../../../proxy/seeing/metrics.ts";
import { failureOf, knowsQwen, recordOf } from "../../proxy/seeing/records.ts";
import { spec } from "../host/observed.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function proxyMetrics(): Metrics {
  const queue = { slots: 2, claimed: 0, heldUntil: null, missing: false };
  const metrics = new Metrics(knowsQwen(), {
    version: "1",
    queues: () => [
      { model: "qwen", running: 2, queued: 4, ...queue },
      { model: "llama", running: 1, queued: 0, ...queue, slots: null },
    ],
    openStreams: () => 3,
    connections: () => 5,
    gpus: () => [],
    ready: () => true,
  });
  closing.push(() => metrics.close());
  return metrics;
}

const reading = async (metrics: Metrics, at: number) => {
  const found = readingOf(await metrics.text(), at);
  if (found === null) throw new Error("the proxy's own text is no reading");
  return found;
};

describe("a reading of the proxy's own text", () => {
  it("says what runs and waits, for each model and in all", async () => {
    const now = await reading(proxyMetrics(), 0);
    expect(now).toMatchObject({
      ready: true,
      models: { qwen: { running: 2, queued: 4, slots: 2 }, llama: { running: 1, slots: null } },
    });
    expect(busyOf(now)).toBe(7);
  });

  it("counts failures of the host, and not those of its clients", async () => {
    const metrics = proxyMetrics();
    for (const code of ["upstream_down", "queue_full", "internal_error"] as const)
      metrics.finished(failureOf({ code }));
    for (const code of ["invalid_api_key", "context_length_exceeded", "rate_limit_exceeded"] as const)
      metrics.finished(failureOf({ code }));
    metrics.finished(recordOf());
    metrics.finished(recordOf({ endpoint: "/v1/models", path: "/v1/models" }));
    expect(await reading(metrics, 0)).toMatchObject({ requests: 7, errors: 3 });
  });

  it("is none when somebody else answers", () => {
    expect(readingOf("<html>lmstack_running 1</html>", 0)).toBeNull();
    expect(readingOf("go_goroutines 12\n", 0)).toBeNull();
  });
});

describe("what happened between two readings", () => {
  it("is told in tokens a second, pace of a stream, wait for the first token, and thoughts", async () => {
    const metrics = proxyMetrics();
    metrics.finished(recordOf());
    metrics.interToken("qwen", 500);
    const before = await reading(metrics, 1_000);
    for (let n = 0; n < 10; n++) metrics.interToken("qwen", 20);
    metrics.finished(recordOf({ firstTokenMs: 300, leaks: 2 }));
    metrics.finished(failureOf());
    const { models, ...host } = ratesBetween(before, await reading(metrics, 5_000));
    expect(host).toEqual({ seconds: 4, requests: 2, errors: 1 });
    expect(models.qwen).toMatchObject({ tokensPerSecond: 10, thoughts: 2 });
    expect(models.qwen?.pace).toBeCloseTo(50);
    expect(models.qwen?.firstToken).toBeCloseTo(0.3);
    expect(models.llama).toMatchObject({ tokensPerSecond: 0, pace: null, firstToken: null });
  });

  it("begins at nought when a new process counts", async () => {
    const old = proxyMetrics();
    for (let n = 0; n < 5; n++) old.finished(recordOf());
    const young = proxyMetrics();
    young.finished(failureOf());
    young.finished(recordOf({ tokens: { input: 1, output: 300, cached: 0, reasoning: 0 } }));
    const after = await reading(young, 1_000);
    // Both processes of the test are one; the later of two on a host says so itself.
    const rates = ratesBetween(await reading(old, 0), { ...after, since: after.since + 1 });
    expect(rates).toMatchObject({ requests: 2, errors: 1, models: { qwen: { tokensPerSecond: 300 } } });
  });
});

it("every label and number that a Prometheus client writes is read back", async () => {
  const label = fc.string({ unit: "binary" });
  const value = fc.oneof(
    fc.integer(),
    fc.double().map((number) => number + 0),
    fc.constantFrom(Infinity, -Infinity, NaN),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(label, label, value), { selector: String, maxLength: 6 }),
      async (rows) => {
        const registers = [new Registry()];
        const gauge = new Gauge({ name: "some", help: 'a "b"} 1\n{', labelNames: ["a", "b"], registers });
        const expected = new Map<string, number>();
        for (const [a, b, number] of rows) {
          gauge.set({ a, b }, number);
          expected.set(JSON.stringify([a, b]), number);
        }
        const found = [...samplesIn(await (registers[0] as Registry).metrics())];
        expect(found.map(({ labels, value }) => [JSON.stringify([labels.a, labels.b]), value])).toEqual([...expected]);
      },
    ),
    { numRuns: 40 },
  );
});

describe("a host that is asked", () => {
  const listen = async (status: number, text: string) => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      response.writeHead(status).end(text);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    closing.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    return {
      asked,
      of: {
        ...spec,
        proxy: { ...spec.proxy, bind: "127.0.0.1" },
        codex: { ...spec.codex, baseUrl: `http://127.0.0.1:${port}/v1` },
      },
      server,
    };
  };
  const keys = [{ id: "team-a", models: ["*"], admin: false, value: "the-key-of-team-a" }];

  it("is asked with its key", async () => {
    const { asked, of } = await listen(200, await proxyMetrics().text());
    expect(busyOf(await askMetrics(of, keys))).toBe(7);
    expect(asked).toEqual(["/metrics Bearer the-key-of-team-a"]);
  });

  it.each([
    [401, "", /metrics: the key team-a is refused\. Next: /],
    [200, "<html>", /metrics: status 200 without an lmstack proxy's figures\. Next: /],
  ])("and answers %i %s: the reason is told without the key", async (status, text, words) => {
    const { of } = await listen(status, text);
    const error = await askMetrics(of, keys).catch((caught: Error) => caught);
    expect(String(error)).toMatch(words);
    expect(String(error)).not.toContain("the-key-of");
  });

  it("and is not there: its address is told", async () => {
    const { of, server } = await listen(200, "");
    await new Promise((resolve) => server.close(resolve));
    await expect(askMetrics(of, keys)).rejects.toThrow(/127\.0\.0\.1:\d+\/metrics: ECONNREFUSED\. Next: /);
  });
});
