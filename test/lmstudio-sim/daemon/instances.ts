/** The loaded models of one daemon: by `lms load`, over REST, or on demand by a request. */
import { access } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Engine, Generation, Piece, Session } from "../engine/engine.ts";
import type { Journal } from "../journal.ts";
import type { DownloadedModel } from "../model.ts";
import type { Traps } from "../traps.ts";
import { type ModelDefaults, noModelDefaults, type Settings } from "./settings.ts";
import { Slots } from "./slots.ts";

/** Of the key and value cache: near to that of a model of some 30 billion parameters, at 16 bits. */
const cacheBytesPerToken = 128 * 1024;

/** Bits of one figure of a cache of that type, block scales included. */
const cacheBits: Readonly<Record<string, number>> = {
  f32: 32,
  q8_0: 8.5,
  q5_1: 6,
  q5_0: 5.5,
  q4_1: 5,
  q4_0: 4.5,
  iq4_nl: 4.5,
};
const bitsOf = (type: string): number => cacheBits[type] ?? 16;

export interface Instance {
  readonly identifier: string;
  readonly model: DownloadedModel;
  readonly contextLength: number;
  readonly parallel: number;
  readonly gpu: string;
  readonly gpuBytes: number;
  readonly ttlMs: number | null;
  readonly jit: boolean;
  readonly defaults: ModelDefaults;
  readonly session: Session;
  readonly slots: Slots;
  lastUsedTime: number | null;
  status: "idle" | "processingPrompt" | "generating" | "computingEmbedding";
}

export interface LoadRequest {
  readonly model: DownloadedModel;
  readonly identifier?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly parallel?: number | undefined;
  readonly gpu?: string | undefined;
  readonly ttlSeconds?: number | undefined;
}

export interface InstancesOptions {
  readonly catalog: () => DownloadedModel[];
  readonly settings: () => Settings;
  readonly modelDefaults?: (model: DownloadedModel) => ModelDefaults;
  readonly traps: () => Traps;
  readonly journal: Journal;
  readonly engineOf: (model: DownloadedModel) => Engine;
  /** Fails when the host is not fit to load anything, for example because a folder is missing. */
  readonly beforeLoad?: () => Promise<void>;
}

export class Instances {
  readonly options: InstancesOptions;
  readonly #loaded = new Map<string, Instance>();
  readonly #loadingOnDemand = new Map<string, Promise<Instance>>();
  readonly #expiry = new Map<string, NodeJS.Timeout>();

  constructor(options: InstancesOptions) {
    this.options = options;
  }

  list(): Instance[] {
    return [...this.#loaded.values()];
  }

  async load(request: LoadRequest, jit = false): Promise<Instance> {
    const { traps, journal, modelDefaults, engineOf, beforeLoad } = this.options;
    const { model } = request;
    const { loadMs, loadBytesPerSecond } = traps();
    const ms = loadMs + (loadBytesPerSecond === null ? 0 : (model.sizeBytes / loadBytesPerSecond) * 1000);
    if (ms > 0) await delay(ms);
    const failure = traps().loadFails;
    if (failure !== null) throw new Error(failure);
    await beforeLoad?.();
    if (model.file !== "") {
      await access(model.file).catch((cause: unknown) => {
        throw new Error(`Failed to load model "${model.modelKey}": no such file ${model.file}`, { cause });
      });
    }
    const defaults = modelDefaults?.(model) ?? noModelDefaults;
    // Whatever a model without a word about flash attention is loaded with, it is not to be relied on.
    if (bitsOf(defaults.vCacheType) < 16 && defaults.flashAttention !== true)
      throw new Error("Failed to load model: V Cache Quantization requires flash attention to be enabled.");
    const { contextLength, parallel, bytes, fits } = this.estimate(request);
    if (!fits)
      throw new Error(`Failed to load model: not enough GPU memory, ${Math.ceil(bytes / 2 ** 20)} MiB are needed`);
    const session = await engineOf(model).load(model, { contextLength, parallel });
    const identifier = this.#freeIdentifier(request.identifier ?? model.modelKey);
    const instance: Instance = {
      identifier,
      model,
      contextLength,
      parallel,
      gpu: request.gpu ?? "max",
      gpuBytes: bytes,
      ttlMs: request.ttlSeconds === undefined ? null : request.ttlSeconds * 1000,
      jit,
      defaults,
      session,
      slots: new Slots(parallel),
      lastUsedTime: null,
      status: "idle",
    };
    this.#loaded.set(identifier, instance);
    journal.add({ event: "load", identifier, path: model.path, contextLength, parallel, jit });
    this.#rearm(instance);
    return instance;
  }

  /** What a load would make of its request, and whether the GPU has room for it beside what is loaded. */
  estimate({ model, gpu = "max", ...request }: LoadRequest) {
    const { traps, settings, modelDefaults } = this.options;
    const defaults = modelDefaults?.(model) ?? noModelDefaults;
    const contextLength =
      request.contextLength ??
      defaults.contextLength ??
      Math.min(settings().defaultContextLength, model.maxContextLength);
    // Four slots unless somebody says otherwise, as in LM Studio's schema.
    const parallel = request.parallel ?? defaults.parallel ?? 4;
    const cacheShare = (bitsOf(defaults.kCacheType) + bitsOf(defaults.vCacheType)) / 32;
    const cache = Math.round(contextLength * parallel * cacheBytesPerToken * cacheShare);
    const bytes = gpu === "off" ? 0 : model.sizeBytes + cache;
    const taken = this.list().reduce((sum, { gpuBytes }) => sum + gpuBytes, 0);
    return {
      contextLength,
      parallel,
      bytes,
      fits: taken + bytes <= (traps().gpuMemoryBytes ?? Number.POSITIVE_INFINITY),
    };
  }

  /** False when nothing has this very identifier. */
  async unload(identifier: string): Promise<boolean> {
    const instance = this.#loaded.get(identifier);
    if (instance === undefined) return false;
    this.#loaded.delete(identifier);
    clearTimeout(this.#expiry.get(identifier));
    this.#expiry.delete(identifier);
    await instance.session.close();
    this.options.journal.add({ event: "unload", identifier });
    return true;
  }

  async close(): Promise<void> {
    for (const identifier of [...this.#loaded.keys()]) await this.unload(identifier);
  }

  /** The instance that a request's `model` means; loads it on demand where that is on. Null: no such model. */
  async resolve(name: string, ttlSeconds?: number): Promise<Instance | null> {
    const loaded = this.#loaded.get(name);
    if (loaded !== undefined) return loaded;
    if (!this.jit()) return null;
    const model = this.options.catalog().find((candidate) => candidate.modelKey === name || candidate.path === name);
    if (model === undefined) return null;
    const known = this.#loaded.get(model.modelKey);
    if (known !== undefined) return known;
    // Two requests at once must not load the model twice.
    const running = this.#loadingOnDemand.get(model.modelKey);
    if (running !== undefined) return await running;
    const load = this.#loadOnDemand(model, ttlSeconds).finally(() => this.#loadingOnDemand.delete(model.modelKey));
    this.#loadingOnDemand.set(model.modelKey, load);
    return await load;
  }

  jit(): boolean {
    return this.options.traps().jitSettingIgnored || this.options.settings().justInTimeModelLoading;
  }

  /** Waits for a slot, then generates; a wait or a generation ends when the signal aborts. */
  async *generate(instance: Instance, request: Generation, onSlot: () => void): AsyncGenerator<Piece> {
    const release = await instance.slots.acquire(request.signal);
    if (release === null) return;
    try {
      onSlot();
      instance.status = "processingPrompt";
      for await (const piece of instance.session.generate(request)) {
        instance.status = "generating";
        yield piece;
      }
    } finally {
      instance.lastUsedTime = Date.now();
      release();
      if (instance.slots.queued === 0) instance.status = "idle";
      this.#rearm(instance);
    }
  }

  async #loadOnDemand(model: DownloadedModel, ttlSeconds: number | undefined): Promise<Instance> {
    const { jitTtlSeconds, unloadPreviousJitModel } = this.options.settings();
    if (unloadPreviousJitModel) for (const other of this.list()) if (other.jit) await this.unload(other.identifier);
    return await this.load({ model, ttlSeconds: ttlSeconds ?? jitTtlSeconds ?? undefined }, true);
  }

  /** A second load of a taken name becomes `X:2`, and so on. */
  #freeIdentifier(wanted: string): string {
    if (!this.#loaded.has(wanted)) return wanted;
    let number = 2;
    while (this.#loaded.has(`${wanted}:${number}`)) number += 1;
    return `${wanted}:${number}`;
  }

  #rearm(instance: Instance): void {
    clearTimeout(this.#expiry.get(instance.identifier));
    if (instance.ttlMs === null || !this.#loaded.has(instance.identifier)) return;
    const timer = setTimeout(() => void this.unload(instance.identifier), instance.ttlMs);
    timer.unref();
    this.#expiry.set(instance.identifier, timer);
  }
}
