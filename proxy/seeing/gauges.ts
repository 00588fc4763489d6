/** What is true at the moment of a scrape: slots, queues, connections, cards. */
import { Gauge, type Registry } from "prom-client";
import type { GpuFacts } from "../../infra/spec/gpu-facts.ts";
import type { ModelQueue } from "../admission/admission.ts";
import type { ModelLabels } from "./model-label.ts";

/** None of these may throw or reject: a scrape is asked for most when something is wrong. */
export interface GaugeSources {
  readonly queues: () => readonly ModelQueue[];
  readonly openStreams: () => number;
  readonly connections: () => number;
  readonly gpus: () => readonly GpuFacts[] | Promise<readonly GpuFacts[]>;
  /** As `/readyz` has it. */
  readonly ready: () => boolean | Promise<boolean>;
}

const queueGauges = ["slots", "running", "queued", "claimed", "held"] as const;
type QueueGauge = (typeof queueGauges)[number];

const queueHelp: Record<QueueGauge, string> = {
  slots: "Requests that LM Studio works on at once; absent where there is no limit.",
  running: "Requests of this process that are with LM Studio.",
  queued: "Requests that wait for a slot.",
  claimed: "Slots that a predecessor's requests still use.",
  held: "1 while new requests wait because the model is being swapped.",
};

const gpuGauges = [
  "memory_used_bytes",
  "memory_total_bytes",
  "utilization_ratio",
  "temperature_celsius",
  "power_watts",
] as const;
type GpuGauge = (typeof gpuGauges)[number];

const gpuHelp: Record<GpuGauge, string> = {
  memory_used_bytes: "Memory of the card that is in use.",
  memory_total_bytes: "Memory of the card.",
  utilization_ratio: "Share of the last moments in which the card worked, 0 to 1.",
  temperature_celsius: "Temperature of the card.",
  power_watts: "Power that the card draws.",
};

export class Gauges {
  readonly #labels: ModelLabels;
  readonly #sources: GaugeSources;
  readonly #queues: Record<QueueGauge, Gauge<"model">>;
  readonly #gpus: Record<GpuGauge, Gauge<"gpu" | "name">>;
  readonly #streams: Gauge;
  readonly #connections: Gauge;
  readonly #ready: Gauge;

  constructor(registry: Registry, labels: ModelLabels, sources: GaugeSources) {
    this.#labels = labels;
    this.#sources = sources;
    const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
      new Gauge({ name: `lmstack_${name}`, help, labelNames: [...labelNames], registers: [registry] });
    this.#queues = record(queueGauges, (name) => gauge(name, queueHelp[name], ["model"] as const));
    this.#streams = gauge("open_streams", "Event streams that are being answered.");
    this.#connections = gauge("connections", "Open connections of clients.");
    this.#ready = gauge("ready", "1 when every declared model is loaded and nothing is being drained.");
    this.#gpus = record(gpuGauges, (name) => gauge(`gpu_${name}`, gpuHelp[name], ["gpu", "name"] as const));
  }

  async read(): Promise<void> {
    const { queues, gpus, ready, openStreams, connections } = this.#sources;
    const [cards, isReady] = await Promise.all([gpus(), ready()]);
    this.#ready.set(isReady ? 1 : 0);
    this.#streams.set(openStreams());
    this.#connections.set(connections());
    this.#readQueues(queues());
    this.#readGpus(cards);
  }

  #readQueues(rows: readonly ModelQueue[]): void {
    for (const gauge of Object.values(this.#queues)) gauge.reset();
    for (const row of rows) {
      const labels = { model: this.#labels.of(row.model) };
      // Added, because several unknown models are one `other`.
      if (row.slots !== null) this.#queues.slots.inc(labels, row.slots);
      this.#queues.running.inc(labels, row.running);
      this.#queues.queued.inc(labels, row.queued);
      this.#queues.claimed.inc(labels, row.claimed);
      this.#queues.held.inc(labels, row.heldUntil === null ? 0 : 1);
    }
  }

  #readGpus(cards: readonly GpuFacts[]): void {
    for (const gauge of Object.values(this.#gpus)) gauge.reset();
    for (const card of cards) {
      const labels = { gpu: String(card.index), name: card.name };
      const values: Record<GpuGauge, number | null> = {
        memory_used_bytes: card.memoryUsedBytes,
        memory_total_bytes: card.memoryTotalBytes,
        utilization_ratio: card.utilization,
        temperature_celsius: card.temperatureCelsius,
        power_watts: card.powerWatts,
      };
      for (const name of gpuGauges) {
        const value = values[name];
        if (value !== null) this.#gpus[name].set(labels, value);
      }
    }
  }
}

function record<Name extends string, Value>(names: readonly Name[], make: (name: Name) => Value): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, Value>;
}
