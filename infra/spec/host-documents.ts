/**
 * The wire between the operator's machine and `hostctl`: one JSON document on stdin, one JSON line on stdout, progress on stderr.
 * Types only, so that both sides share them without sharing code.
 */

import type { KvCacheType } from "./kv-cache.ts";

/** How privileged acts happen on the host: `sudo` means `sudo -n`, `none` means only what the user may do. */
export type Become = "sudo" | "none";

export type Platform = "linux-cuda" | "linux-cpu" | "macos-metal";

export type Thinking = "off" | "on" | "client";

/** Sent with every call; `token` is stored on the host when the call has converged (see `infra/host/drift.ts`). */
export interface Envelope {
  readonly stack: string;
  readonly token: string;
  readonly become: Become;
}

/** Desired state of LM Studio itself. */
export interface LmstudioDocument extends Envelope {
  readonly platform: Platform;
  readonly version: string;
  /** Where the tarball comes from: https, http or file URL as seen from the host. */
  readonly url: string;
  /** Other https or http addresses of the same bytes. */
  readonly mirrors?: readonly string[];
  /** Hex SHA-512 of the tarball; absent only for a host whose LM Studio is adopted as it is. */
  readonly sha512?: string;
  readonly engine?: { readonly name: string; readonly version: string };
  /** Loopback port of LM Studio's own HTTP server. */
  readonly backendPort: number;
  /** Ids of the declared models, in order: what is not among them is unloaded before any other is loaded. Absent: nothing is unloaded. */
  readonly models?: readonly string[];
  /** Absolute folders that must be mounted before the supervisor starts (where models lie). */
  readonly mounts?: readonly string[];
}

export type ModelSourceDocument =
  | { readonly path: string }
  | {
      /** Of the first file: the others of a multi-part model lie beside it. Of a hub's folder, what its files lie below. */
      readonly url: string;
      readonly mirrors?: readonly string[];
      /** A hub, which tells sha256 and length of its large files in headers. */
      readonly hub?: true;
      readonly bytesPerSecond?: number;
    }
  | {
      /** Base addresses of hosts that share files by their sha256. */
      readonly peers: readonly string[];
      /** Name of the first file. */
      readonly file: string;
      readonly bytesPerSecond?: number;
    };

/** One of the files of a model that is a folder. */
export interface FolderFile {
  /** Below the folder, with slashes. */
  readonly name: string;
  readonly sha256: string;
}

/** Desired state of one model file (fetch + verify) and, in `ModelDocument`, of its loaded instance. */
export interface ModelFileDocument extends Envelope {
  readonly id: string;
  readonly source: ModelSourceDocument;
  /** One for each file, in their order; a text alone when there is but one, and of a folder, which has one digest. */
  readonly sha256?: string | readonly string[];
  /** Only as the host keeps it of a folder from a hub: what it was when it was loaded. */
  readonly files?: readonly FolderFile[];
  /** Bearer token for the hosts of the source: makes the document a secret, and is kept nowhere on the host. */
  readonly credential?: string;
}

export interface ModelDocument extends ModelFileDocument {
  readonly import: "symlink" | "hard-link" | "copy" | "move";
  readonly publisher: string;
  readonly repo: string;
  readonly load: {
    readonly gpu: "max" | "off" | number;
    readonly contextLength: number;
    readonly parallel: number;
    readonly flashAttention?: boolean | undefined;
    readonly kvCacheType?: KvCacheType | undefined;
  };
  /** Position in the declared order: models load in this order. */
  readonly order: number;
}

/** Files in the proxy's bind-mounted directory. Key hashes make it a secret input. */
export interface ProxyFilesDocument extends Envelope {
  /** The proxy's own configuration, see `proxy-config.ts`. */
  readonly config: unknown;
  /** For the file beside it: SHA-256 digests and what each key allows, never keys. Without any there is no such file. */
  readonly keys?: readonly unknown[];
  readonly runtime: "docker" | "native";
}

/** The image is built on the host from the uploaded runtime, or its presence checked when the spec names one by digest. */
export interface ProxyImageDocument extends Envelope {
  /** `repository@sha256:…` when taken from a registry, else absent. */
  readonly reference?: string;
  /** Content address of everything that goes into a built image. */
  readonly contentHash: string;
}

/** Gate: the container must become healthy before anything that depends on it, and before its predecessor is removed. */
export interface ProxyGateDocument extends Envelope {
  readonly containerId: string;
  readonly healthySeconds: number;
}

export interface ProveDocument extends Envelope {
  readonly models: readonly { readonly id: string; readonly thinking: Thinking; readonly contextLength?: number }[];
  /** Port of the proxy on the host itself. */
  readonly port: number;
}

/** What `observe` is told: where to look. It changes nothing and never starts a daemon. */
export interface ObserveDocument {
  readonly stack: string;
  readonly become: Become;
  readonly backendPort: number;
  readonly proxyPort: number;
  readonly models: readonly ModelDocument[];
  readonly lmstudio: LmstudioDocument;
}

/** Name of a converged resource on the host: its token's file name. */
export type ResourceName =
  | "runtime"
  | "lmstudio"
  | "proxy-files"
  | "proxy-image"
  | "proxy-gate"
  | "proof"
  | `model-file-${string}`
  | `model-${string}`;

/** Facts of one host at one moment. Absent parts are null; nothing here is a judgement. */
export interface Observed {
  readonly lmstudio: {
    readonly installedVersion: string | null;
    readonly daemon: { readonly running: boolean; readonly pid: number | null; readonly supervised: boolean };
    /** `address` is the listen address that the kernel reports, null when nothing listens. */
    readonly server: { readonly greeting: boolean; readonly port: number | null; readonly address: string | null };
    /** The service that supervises. */
    readonly service: ObservedService;
    /** Names of settings whose value differs from what lmstack wrote: `file:key`. */
    readonly settingsDrift: readonly string[];
    readonly engine: { readonly name: string; readonly version: string } | null;
    readonly adopted: boolean;
  };
  readonly models: Readonly<Record<string, ObservedModel>>;
  /**
   * What the supervisor found wrong and repaired by itself since the resource last converged, in words with the time, by resource name
   * (`lmstudio`, `model-ID`). It repairs within seconds, so without this record a preview would never show what somebody did by hand or what
   * crashed. Starting after a boot is no incident. A converge of the resource clears its own. At most the last 20 of each.
   */
  readonly incidents: Readonly<Record<string, readonly string[]>>;
  /** Why the supervisor cannot make a resource as declared, by resource name, in words with what to do. Absent from an earlier hostctl. */
  readonly failing?: Readonly<Record<string, string>>;
  /** What the supervisor did of late, the newest last, at most 50. */
  readonly journal: readonly JournalEntry[];
  readonly proxy: {
    /** Of `proxy.json` and `keys.json` together. */
    readonly filesSha256: string | null;
    readonly expectedFilesSha256: string | null;
    /** Where the `proxy.json` that lies on the host lets the proxy listen; null without one. */
    readonly port: number | null;
    readonly imagePresent: boolean;
    readonly containers: readonly ObservedContainer[];
    /** Native runtime only. */
    readonly service: ObservedService | null;
  };
}

/** Whether a person edited its file is judged by digest; both are null when no service exists. */
export interface ObservedService {
  readonly active: boolean;
  readonly enabled: boolean;
  readonly sha256: string | null;
  readonly expectedSha256: string | null;
}

/** One thing that the supervisor did by itself, in words for people: "starting LM Studio's daemon", "it was not running", "done". */
export interface JournalEntry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly what: string;
  readonly why: string;
  readonly result: string;
  /** False when it did not come about, or when the entry only tells of a fault. */
  readonly ok: boolean;
}

export interface ObservedModel {
  /** The file in LM Studio's models folder (or what the link points to) exists. */
  readonly imported: boolean;
  readonly verified: boolean;
  /** Keys in LM Studio's defaults of the model whose value is not the declared one. */
  readonly defaultsDrift?: readonly string[];
  readonly instances: readonly {
    readonly identifier: string;
    readonly contextLength: number | null;
    readonly parallel: number | null;
  }[];
  /** The last proof, `prove`'s or the supervisor's own; null before the first. */
  readonly proof?: ObservedProof | null;
}

/** What a proof of one model has found, and when. */
export interface ObservedProof {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** `thinking`: every endpoint, with a question that invites thinking. `full`: a tool and the whole context too. */
  readonly depth: "pulse" | "thinking" | "full";
  readonly ok: boolean;
  /** It is of the instance that is loaded now. */
  readonly current: boolean;
  /** Figures and notes, or what is wrong with its transcript. */
  readonly words: string;
  /** What to do about a failure. */
  readonly hint?: string;
  /** As last measured. */
  readonly tokensPerSecond: number | null;
  readonly firstTokenMs: number | null;
}

export interface ObservedContainer {
  readonly id: string;
  readonly token: string;
  readonly running: boolean;
  readonly health: "healthy" | "starting" | "unhealthy" | "none";
  /** Stands in for the declared one, which does not start with the GPU. */
  readonly withoutGpu?: boolean;
}

/** What `doctor` is told. Like `observe` it changes nothing. */
export interface DoctorDocument {
  readonly stack: string;
  readonly become: Become;
  readonly platform: Platform;
  /** Where the proxy listens; beyond loopback the host's firewall matters. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Absolute paths of models on the host, as the spec names them; without those that an import moves away. */
  readonly modelPaths: readonly string[];
}

/** What stands in the way of a host that nobody looks after: one line a check, in the order of a boot. */
export interface DoctorReport {
  readonly findings: readonly Finding[];
}

export interface Finding {
  /** Stable short name, such as `filevault` or `linger`. */
  readonly check: string;
  /** `problem`: the host does not serve, or will not after a reboot. `warning`: it does, with a risk. `unknown`: it could not be asked. */
  readonly verdict: "ok" | "warning" | "problem" | "unknown";
  /** What was found and what follows from it, one sentence. */
  readonly words: string;
  /** The command, or the place in the settings, that puts it right. Absent when nothing has to be done. */
  readonly fix?: string;
}

export interface Change {
  readonly what: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface Success<T = unknown> {
  readonly ok: true;
  readonly token?: string;
  readonly changed: readonly Change[];
  readonly observed?: T;
}

export interface Failure {
  readonly ok: false;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint: string };
}

export type Result<T = unknown> = Success<T> | Failure;

export type ErrorCode =
  | "bad_document"
  | "busy"
  | "checksum_mismatch"
  | "daemon_failed"
  | "daemon_hangs"
  | "disk_full"
  | "docker_unavailable"
  | "engine_incompatible"
  | "file_missing"
  | "fetch_failed"
  | "gui_owns_daemon"
  | "import_failed"
  | "internal"
  | "load_failed"
  | "out_of_memory"
  | "port_in_use"
  | "prerequisite_missing"
  | "privilege_missing"
  | "proof_failed"
  | "server_failed"
  | "service_failed"
  | "timeout"
  | "unhealthy";
