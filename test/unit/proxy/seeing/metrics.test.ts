import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type MetricSources, Metrics } from "../../../../proxy/seeing/metrics.ts";
import { failureOf, knowsQwen, recordOf } from "./records.ts";

const quiet: MetricSources = {
  version: "1.2.3",
  queues: () => [],
  openStreams: () => 0,
  connections: () => 0,
  gpus: () => [],
  ready: () => true,
};

let metrics: Metrics;
beforeEach(() => {
  metrics = new Metrics(knowsQwen(), quiet);
});
afterEach(() => metrics.close());

/** The value of a series as Prometheus would read it; undefined when there is none. */
async function value(series: string, of = metrics): Promise<number | undefined> {
  const line = (await of.text()).split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe("the metrics", () => {
  it("count a request by model, key, endpoint and status, and its tokens by who used them", async () => {
    metrics.finished(recordOf());
    metrics.finished(recordOf());
    const requests = 'lmstack_requests_total{model="qwen",key="team-a",endpoint="/v1/responses",status="200"}';
    expect(await value(requests)).toBe(2);
    expect(await value('lmstack_input_tokens_total{model="qwen",key="team-a"}')).toBe(200);
    expect(await value('lmstack_output_tokens_total{model="qwen",key="team-a"}')).toBe(80);
    expect(await value('lmstack_cached_tokens_total{model="qwen",key="team-a"}')).toBe(120);
    expect(await value('lmstack_reasoning_tokens_total{model="qwen",key="team-a"}')).toBe(0);
  });

  it("measure first token, queue, duration and the time between tokens in seconds", async () => {
    metrics.finished(recordOf());
    metrics.interToken("qwen", 20);
    expect(await value('lmstack_time_to_first_token_seconds_sum{model="qwen"}')).toBe(0.2);
    expect(await value('lmstack_time_to_first_token_seconds_bucket{le="0.1",model="qwen"}')).toBe(0);
    expect(await value('lmstack_time_to_first_token_seconds_bucket{le="0.25",model="qwen"}')).toBe(1);
    expect(await value('lmstack_queue_wait_seconds_sum{model="qwen"}')).toBe(0.05);
    expect(await value('lmstack_request_duration_seconds_sum{model="qwen",endpoint="/v1/responses"}')).toBe(1);
    expect(await value('lmstack_inter_token_seconds_sum{model="qwen"}')).toBe(0.02);
  });

  it("count a request without a token, a slot or a model in no histogram that it has nothing to say to", async () => {
    const { firstTokenMs: _, queueMs: __, model: ___, key: ____, ...bare } = recordOf();
    metrics.finished(bare);
    expect(await value('lmstack_requests_total{model="none",key="none",endpoint="/v1/responses",status="200"}')).toBe(
      1,
    );
    expect(await metrics.text()).not.toMatch(/^lmstack_(?:time_to_first_token|queue_wait)_seconds_count/m);
  });

  it("keep however many names clients think of to one label", async () => {
    for (let i = 0; i < 500; i++) metrics.finished(recordOf({ model: `made-up-${i}` }));
    metrics.interToken("made-up-501", 1);
    expect(await metrics.text()).not.toContain("made-up");
    expect(
      await value('lmstack_requests_total{model="other",key="team-a",endpoint="/v1/responses",status="200"}'),
    ).toBe(500);
  });

  it("tell what LM Studio failed from what the proxy refused and from the proxy's own defects", async () => {
    metrics.finished(failureOf());
    metrics.finished(failureOf({ code: "queue_full" }));
    metrics.finished(failureOf({ code: "internal_error" }));
    expect(await value('lmstack_upstream_errors_total{kind="upstream_down"}')).toBe(1);
    expect(await value('lmstack_refused_total{code="queue_full"}')).toBe(1);
    expect(await value("lmstack_internal_errors_total")).toBe(1);
  });

  it("count cancelled and repeated requests, leaks and heartbeats", async () => {
    metrics.finished(recordOf({ outcome: "client-gone", status: 0, leaks: 3, retried: true }));
    metrics.heartbeat();
    expect(await value('lmstack_cancelled_requests_total{model="qwen"}')).toBe(1);
    expect(await value('lmstack_leaks_total{model="qwen"}')).toBe(3);
    expect(await value("lmstack_upstream_retries_total")).toBe(1);
    expect(await value("lmstack_heartbeats_total")).toBe(1);
  });

  it("count reasoning as unwanted only where the proxy had switched thinking off", async () => {
    const tokens = { input: 1, output: 9, cached: 0, reasoning: 7 };
    metrics.finished(recordOf({ tokens }));
    metrics.finished(recordOf({ tokens, rewritten: ["thinking-on"] }));
    expect(await value('lmstack_unwanted_reasoning_tokens_total{model="qwen"}')).toBe(7);
    expect(await value('lmstack_reasoning_tokens_total{model="qwen",key="team-a"}')).toBe(14);
  });

  it("begin a model's counters of trouble at nought, so that the first trouble is a rise", async () => {
    metrics.finished(recordOf());
    for (const name of ["leaks", "unwanted_reasoning_tokens", "cancelled_requests"]) {
      expect(await value(`lmstack_${name}_total{model="qwen"}`)).toBe(0);
    }
  });

  it("leave out the questions of machines", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics"]) metrics.finished(recordOf({ path, endpoint: path }));
    expect(await metrics.text()).not.toContain("lmstack_requests_total{");
  });

  it("show slots, queues and held models as they are at the moment of the scrape", async () => {
    let running = 1;
    const row = { model: "qwen", slots: 2, queued: 3, claimed: 1, heldUntil: 5, missing: false };
    const unlimited = {
      model: "llama",
      slots: null,
      running: 4,
      queued: 0,
      claimed: 0,
      heldUntil: null,
      missing: false,
    };
    const live = new Metrics(knowsQwen(), { ...quiet, queues: () => [{ ...row, running }, unlimited] });
    expect(await value('lmstack_running{model="qwen"}', live)).toBe(1);
    running = 2;
    expect(await value('lmstack_running{model="qwen"}', live)).toBe(2);
    expect(await value('lmstack_slots{model="qwen"}', live)).toBe(2);
    expect(await value('lmstack_queued{model="qwen"}', live)).toBe(3);
    expect(await value('lmstack_claimed{model="qwen"}', live)).toBe(1);
    expect(await value('lmstack_held{model="qwen"}', live)).toBe(1);
    expect(await value('lmstack_held{model="llama"}', live)).toBe(0);
    expect(await value('lmstack_slots{model="llama"}', live)).toBeUndefined();
    live.close();
  });

  it("show the card, and nothing of what its driver does not know", async () => {
    const card = { index: 0, name: 'RTX "5090"', memoryUsedBytes: 2e9, memoryTotalBytes: 3e10, utilization: 0.5 };
    const gpus = async () => [{ ...card, temperatureCelsius: 41, powerWatts: null }];
    const live = new Metrics(knowsQwen(), { ...quiet, gpus, ready: () => false });
    const labels = '{gpu="0",name="RTX \\"5090\\""}';
    expect(await value(`lmstack_gpu_memory_used_bytes${labels}`, live)).toBe(2e9);
    expect(await value(`lmstack_gpu_utilization_ratio${labels}`, live)).toBe(0.5);
    expect(await value(`lmstack_gpu_temperature_celsius${labels}`, live)).toBe(41);
    expect(await value(`lmstack_gpu_power_watts${labels}`, live)).toBeUndefined();
    expect(await value("lmstack_ready", live)).toBe(0);
    live.close();
  });

  it("show the process under the usual names", async () => {
    expect(await value("process_resident_memory_bytes")).toBeGreaterThan(1e7);
    const [before = 0, after = 0] = [
      await value("process_cpu_seconds_total"),
      await value("process_cpu_seconds_total"),
    ];
    expect(before).toBeGreaterThan(0);
    expect(after).toBeGreaterThanOrEqual(before);
    expect(await value("nodejs_heap_size_used_bytes")).toBeGreaterThan(1e6);
    expect(await value(`lmstack_build_info{version="1.2.3",node="${process.version}"}`)).toBe(1);
  });

  it("tell how late the event loop was since the last scrape", async () => {
    let lag = 0;
    while (lag < 0.05) {
      // The measurement counts from one of its own timers to the next: one before the blockade, one behind it.
      await setTimeout(30);
      const until = performance.now() + 100;
      while (performance.now() < until);
      await setTimeout(30);
      lag = (await value("lmstack_event_loop_lag_seconds")) ?? 0;
    }
    expect(lag).toBeLessThan(60);
  });

  it("of two proxies in one process do not mix", async () => {
    const other = new Metrics(knowsQwen(), quiet);
    metrics.heartbeat();
    expect(await value("lmstack_heartbeats_total", other)).toBe(0);
    other.close();
  });
});
