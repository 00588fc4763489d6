/** The HTTP server alone, in the caller's process: no install, no `lms`, models from a list. For tests of what stands in front of LM Studio. */
import { Instances } from "./daemon/instances.ts";
import { defaultSettings, noModelDefaults, type Settings } from "./daemon/settings.ts";
import { engineOf } from "./engine/choose.ts";
import { startHttpServer } from "./http/server.ts";
import { type JournalEntry, memoryJournal } from "./journal.ts";
import { type Agent, type DownloadedModel, defaultScript, type Script } from "./model.ts";
import { defaultTraps, type Traps } from "./traps.ts";

interface SimModel extends Partial<Script> {
  /** Identifier of the loaded instance, and the model's key when it is not loaded. */
  readonly id: string;
  /** Default true. */
  readonly loaded?: boolean;
  readonly contextLength?: number;
  readonly parallel?: number;
  /** The per-model default file's `enableThinking`. */
  readonly enableThinking?: boolean;
  /** A real GGUF: played by the llama engine instead of a script. */
  readonly gguf?: string;
  /** Decides what is said and called. */
  readonly agent?: Agent;
}

export interface SimServerOptions extends Partial<Traps> {
  /** Default: one thinking model named `sim-thinker`, loaded. */
  readonly models?: readonly SimModel[];
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly settings?: Partial<Settings>;
}

export interface SimServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, no slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly instances: Instances;
  /** As if killed: every connection breaks at once, and nobody listens any more. */
  down(): Promise<void>;
  /** On the same port again. */
  up(): Promise<void>;
  journal(): JournalEntry[];
  /** Bodies of the requests to one path, parsed. */
  bodies(path: string): Record<string, unknown>[];
  /** Resolves once an entry matches; rejects after `timeoutMs` (default 5,000). */
  waitFor(matches: (entry: JournalEntry) => boolean, timeoutMs?: number): Promise<JournalEntry>;
  /** Springs or disarms traps while running. */
  set(traps: Partial<Traps>): void;
  close(): Promise<void>;
}

export async function startSimServer(options: SimServerOptions = {}): Promise<SimServer> {
  const { models = [{ id: "sim-thinker" }], port = 0, host = "127.0.0.1", settings, ...given } = options;
  let traps: Traps = { ...defaultTraps, ...given };
  const memory = memoryJournal();
  const watchers = new Set<() => void>();
  const journal = {
    ...memory,
    add: (entry: Parameters<typeof memory.add>[0]): void => {
      memory.add(entry);
      for (const watcher of watchers) watcher();
    },
  };
  const catalog = models.map(asDownloaded);
  const byPath = new Map(models.map((model) => [`local/${model.id}/${model.id}.gguf`, model]));
  const instances = new Instances({
    catalog: () => catalog,
    settings: () => ({ ...defaultSettings, ...settings }),
    modelDefaults: (model) => ({
      ...noModelDefaults,
      enableThinking: byPath.get(model.path)?.enableThinking ?? null,
      contextLength: byPath.get(model.path)?.contextLength ?? null,
      parallel: byPath.get(model.path)?.parallel ?? null,
    }),
    traps: () => traps,
    journal,
    engineOf,
  });
  for (const [index, model] of models.entries()) {
    if (model.loaded === false) continue;
    await instances.load({
      model: catalog[index] as DownloadedModel,
      identifier: model.id,
      contextLength: model.contextLength ?? 200_000,
      parallel: model.parallel ?? 4,
    });
  }
  const listen = (onPort: number) =>
    startHttpServer({ host, port: onPort, cors: false, instances, journal, traps: () => traps });
  let server = await listen(port);
  const close = async (): Promise<void> => {
    await server.close();
    await instances.close();
  };
  return {
    url: `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${server.port}`,
    port: server.port,
    instances,
    down: () => server.close(),
    up: async () => {
      server = await listen(server.port);
    },
    journal: () => memory.entries(),
    bodies: (path) =>
      memory
        .entries()
        .flatMap((entry) =>
          entry.event === "request" && entry.path === path ? [JSON.parse(entry.body) as Record<string, unknown>] : [],
        ),
    waitFor: (matches, timeoutMs = 5000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(
            new Error(
              `no such journal entry within ${timeoutMs} ms; there are: ${memory
                .entries()
                .map((entry) => entry.event)
                .join(", ")}`,
            ),
          );
        }, timeoutMs);
        const look = (): void => {
          const found = memory.entries().find(matches);
          if (found === undefined) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
        look();
      }),
    set: (change) => {
      traps = { ...traps, ...change };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function asDownloaded(model: SimModel): DownloadedModel {
  const {
    id,
    loaded: _loaded,
    parallel: _parallel,
    enableThinking: _thinking,
    gguf,
    agent,
    contextLength,
    ...script
  } = model;
  return {
    modelKey: id.toLowerCase(),
    path: `local/${id}/${id}.gguf`,
    format: "gguf",
    file: gguf ?? "",
    publisher: "local",
    displayName: id,
    architecture: "qwen3",
    quantization: { name: "Q4_K_M", bits: 4 },
    sizeBytes: 1024,
    maxContextLength: Math.max(contextLength ?? 0, 262_144),
    script: gguf === undefined ? { ...defaultScript, ...script } : null,
    ...(agent === undefined ? {} : { agent }),
  };
}
