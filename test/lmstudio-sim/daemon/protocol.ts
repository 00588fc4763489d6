/** What `lms` and the daemon say to each other: one POST a call, JSON both ways. The real ones speak WebSocket; nobody else listens in. */
import type { DownloadedModel } from "../model.ts";
import type { EngineName, SurveyedEngine } from "./engines.ts";

export interface DaemonStatus {
  readonly home: string;
  readonly pid: number;
  readonly isDaemon: boolean;
  readonly version: string;
}

interface LoadedModel {
  readonly model: DownloadedModel;
  readonly identifier: string;
  readonly ttlMs: number | null;
  readonly lastUsedTime: number | null;
  readonly contextLength: number;
  readonly status: string;
  readonly queued: number;
  readonly parallel: number;
}

interface LoadCall {
  readonly path: string;
  readonly identifier?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly parallel?: number | undefined;
  readonly gpu?: string | undefined;
  readonly ttlSeconds?: number | undefined;
}

export interface ServerCall {
  readonly port: number;
  readonly bind: string;
  readonly cors: boolean;
}

export interface Calls {
  status: { in: Record<string, never>; out: DaemonStatus };
  down: { in: Record<string, never>; out: null };
  /** Last loaded first. */
  list: { in: Record<string, never>; out: DownloadedModel[] };
  loaded: { in: Record<string, never>; out: LoadedModel[] };
  load: { in: LoadCall; out: { identifier: string; sizeBytes: number } };
  estimate: { in: LoadCall; out: { bytes: number; fits: boolean } };
  unload: { in: { identifier: string }; out: boolean };
  startServer: { in: ServerCall; out: null };
  /** Null when no server runs. */
  stopServer: { in: Record<string, never>; out: { port: number } | null };
  engines: { in: Record<string, never>; out: { installed: EngineName[]; selected: EngineName | null } };
  survey: { in: Record<string, never>; out: SurveyedEngine[] };
  selectEngine: { in: EngineName; out: null };
  addEngine: { in: EngineName; out: null };
  removeEngine: { in: EngineName; out: null };
}

export type CallName = keyof Calls;
export type Handlers = { readonly [Name in CallName]: (input: Calls[Name]["in"]) => Promise<Calls[Name]["out"]> };
