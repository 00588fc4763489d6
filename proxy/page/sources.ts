/** Where the status page has its facts from. LM Studio is asked only while somebody looks. */
import type { GpuFacts } from "../../infra/spec/gpu-facts.ts";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import type { Admission } from "../admission/admission.ts";
import type { SeriesSnapshot } from "../seeing/series.ts";
import type { Catalog, LoadedModels } from "../upstream/catalog.ts";
import { type Readiness, readiness } from "../upstream/readiness.ts";
import { type StatusSnapshot, statusSnapshot } from "./snapshot.ts";

export interface PageSources {
  /** What is known now. */
  snapshot(): StatusSnapshot;
  /** Asks LM Studio again. Never rejects; afterwards `snapshot` tells what came of it. */
  look(): Promise<void>;
  /** Calls the listener after changes until the returned function is called. */
  onChange(listener: () => void): () => void;
}

export interface SourceParts {
  readonly config: () => ProxyConfig;
  /** Why a newer configuration was not taken. */
  readonly problem: () => string | undefined;
  readonly isEnding: () => boolean;
  readonly admission: Pick<Admission, "snapshot" | "onChange">;
  readonly catalog: Pick<Catalog, "loaded">;
  /** Undefined when there is no limit. */
  readonly slotsOf: (model: string) => number | undefined;
  readonly series: { snapshot(now: number): SeriesSnapshot };
  readonly gpus: () => readonly GpuFacts[];
  readonly openStreams: () => number;
  readonly connections: () => number;
  readonly version: string;
}

export class ProxySources implements PageSources {
  readonly #parts: SourceParts;
  #readiness: Readiness | undefined;
  #loaded: LoadedModels | undefined;

  constructor(parts: SourceParts) {
    this.#parts = parts;
  }

  snapshot(): StatusSnapshot {
    const parts = this.#parts;
    const now = Date.now();
    return statusSnapshot({
      now,
      config: parts.config(),
      problem: parts.problem(),
      ending: parts.isEnding(),
      readiness: this.#readiness,
      loaded: this.#loaded,
      queues: parts.admission.snapshot(),
      slotsOf: parts.slotsOf,
      series: parts.series.snapshot(now),
      gpus: parts.gpus(),
      version: parts.version,
      startedAt: performance.timeOrigin,
      openStreams: parts.openStreams(),
      connections: parts.connections(),
    });
  }

  async look(): Promise<void> {
    const { catalog, config, isEnding } = this.#parts;
    let loaded: LoadedModels | undefined;
    const ask = async () => {
      loaded = await catalog.loaded();
      return loaded;
    };
    this.#readiness = await readiness(config(), ask, isEnding());
    this.#loaded = loaded;
  }

  onChange(listener: () => void): () => void {
    return this.#parts.admission.onChange(listener);
  }
}
