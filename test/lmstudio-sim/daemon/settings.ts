/** The two settings files of LM Studio that matter to a server, and the per-model defaults. Unknown keys survive a rewrite. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DownloadedModel } from "../model.ts";

export interface Settings {
  /** `/v1/models` lists everything downloaded, and a request for a model that is not loaded loads it. */
  readonly justInTimeModelLoading: boolean;
  readonly jitTtlSeconds: number | null;
  readonly unloadPreviousJitModel: boolean;
  readonly separateReasoning: boolean;
  readonly logSensitiveData: boolean;
  readonly defaultContextLength: number;
}

export const defaultSettings: Settings = {
  justInTimeModelLoading: true,
  jitTtlSeconds: 3600,
  unloadPreviousJitModel: true,
  separateReasoning: true,
  logSensitiveData: true,
  defaultContextLength: 8192,
};

export interface ServerConfig {
  readonly autoStartOnLaunch: boolean;
  readonly port: number;
  readonly cors: boolean;
  readonly logSensitiveData: boolean;
  readonly networkInterface: string;
  readonly justInTimeModelLoading: boolean;
}

const defaultServerConfig = {
  autoStartOnLaunch: false,
  port: 1234,
  cors: false,
  logSensitiveData: true,
  logIncomingTokens: false,
  verbose: false,
  logLinesLimit: 500,
  networkInterface: "127.0.0.1",
  justInTimeModelLoading: true,
  fileLoggingMode: "succinct",
};

export const serverConfigFile = (home: string): string => join(home, ".internal", "http-server-config.json");
export const settingsFile = (home: string): string => join(home, "settings.json");

export function readJson(file: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

export function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  const staging = `${file}.${process.pid}.tmp`;
  writeFileSync(staging, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(staging, file);
}

export function readServerConfig(home: string): ServerConfig {
  return { ...defaultServerConfig, ...readJson(serverConfigFile(home)) };
}

export function mergeServerConfig(home: string, change: Partial<ServerConfig>): void {
  writeJson(serverConfigFile(home), { ...defaultServerConfig, ...readJson(serverConfigFile(home)), ...change });
}

/** The daemon rewrites its settings at every start: missing keys appear, others stay. */
export function rewriteSettings(home: string): void {
  const old = readJson(settingsFile(home)) ?? {};
  const developer = (old.developer ?? {}) as Record<string, unknown>;
  writeJson(settingsFile(home), {
    downloadsFolder: join(home, "models"),
    defaultContextLength: { type: "custom", value: 8192 },
    modelLoadingGuardrails: { mode: "high" },
    enableLocalService: true,
    useHFProxy: false,
    ...old,
    developer: {
      jitModelTTL: { enabled: true, ttlSeconds: 3600 },
      unloadPreviousJITModelOnLoad: true,
      separateReasoningContentInAPI: true,
      autoUpdateExtensionPacks: true,
      appUpdateChannel: "stable",
      backendDownloadChannel: "stable",
      ...developer,
    },
  });
}

/** Engines may update themselves unless somebody says otherwise. */
export function updatesEngines(home: string): boolean {
  const developer = (readJson(settingsFile(home))?.developer ?? {}) as Record<string, unknown>;
  return developer.autoUpdateExtensionPacks !== false;
}

export function readSettings(home: string): Settings {
  const file = readJson(settingsFile(home)) ?? {};
  const developer = (file.developer ?? {}) as Record<string, unknown>;
  const ttl = developer.jitModelTTL as { enabled?: boolean; ttlSeconds?: number } | undefined;
  const context = file.defaultContextLength as { value?: number } | undefined;
  const server = readServerConfig(home);
  return {
    justInTimeModelLoading: server.justInTimeModelLoading,
    logSensitiveData: server.logSensitiveData,
    jitTtlSeconds: ttl?.enabled === false ? null : (ttl?.ttlSeconds ?? 3600),
    unloadPreviousJitModel: developer.unloadPreviousJITModelOnLoad !== false,
    separateReasoning: developer.separateReasoningContentInAPI !== false,
    defaultContextLength: context?.value ?? 8192,
  };
}

/** Defaults of one model, undocumented: applied at its next load, by command or on demand; flags of `lms load` win. */
export interface ModelDefaults {
  readonly enableThinking: boolean | null;
  readonly contextLength: number | null;
  readonly parallel: number | null;
  readonly flashAttention: boolean | null;
  readonly kCacheType: string;
  readonly vCacheType: string;
}

export const noModelDefaults: ModelDefaults = {
  enableThinking: null,
  contextLength: null,
  parallel: null,
  flashAttention: null,
  kCacheType: "f16",
  vCacheType: "f16",
};

export function readModelDefaults(home: string, model: DownloadedModel): ModelDefaults {
  const file = readJson(join(home, ".internal", "user-concrete-model-default-config", `${model.path}.json`));
  if (file === null) return noModelDefaults;
  const field = (part: "operation" | "load", key: string): unknown => {
    const fields = (file[part] as { fields?: { key: string; value: unknown }[] } | undefined)?.fields ?? [];
    return fields.find((candidate) => candidate.key === key)?.value;
  };
  const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
  const boolean = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);
  const cacheType = (key: string): string => {
    const { checked, value } = (field("load", key) ?? {}) as { checked?: boolean; value?: string };
    return checked === true && value !== undefined ? value : "f16";
  };
  return {
    enableThinking: boolean(field("operation", "llm.prediction.reasoning.enableThinking")),
    flashAttention: boolean(field("load", "llm.load.llama.flashAttention")),
    kCacheType: cacheType("llm.load.llama.kCacheQuantizationType"),
    vCacheType: cacheType("llm.load.llama.vCacheQuantizationType"),
    contextLength: number(field("load", "llm.load.contextLength")),
    parallel: number(field("load", "llm.load.numParallelSessions")),
  };
}
