/** What was last found out about each model, on disk: by `prove`, and by the supervisor after it loaded something. One file a model, the last one counts. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ObservedProof } from "../../infra/spec/host-documents.ts";
import { failureOf, type ModelProof, summaryOf } from "../../infra/spec/proof/finding.ts";
import type { Depth } from "../../infra/spec/proof/prove-model.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { digestOf } from "../digest.ts";
import type { Host } from "../host.ts";
import { installedVersion } from "../lmstudio/versions.ts";
import type { ProcessMark } from "../process.ts";
import type { Desired } from "../supervisor/decide.ts";
import { readDesired } from "../supervisor/desired.ts";
import { keptDaemon } from "../supervisor/notebook.ts";

/** What a proof speaks of. */
export interface Subject {
  readonly id: string;
  /** As declared, in tokens. */
  readonly contextLength: number;
  /** Changes with the daemon's process, and with what is declared of the model. */
  readonly instance: string;
  /** Changes with LM Studio's version, its engine, and what is declared of the model. */
  readonly build: string;
}

export interface KeptProof extends Omit<ObservedProof, "current"> {
  readonly instance: string;
  /** The last build that a full proof held for. */
  readonly whole: string | null;
}

export function subjectsOf(desired: Desired, daemon: ProcessMark | null, version: string | null): Subject[] {
  return desired.models.map(({ identifier: id, contextLength, digest }) => ({
    id,
    contextLength,
    instance: digestOf([digest, daemon]),
    build: digestOf([digest, version, desired.lmstudio?.engine]),
  }));
}

export async function keepProof(host: Host, subject: Subject, depth: Depth, proof: ModelProof): Promise<KeptProof> {
  const { tokensPerSecond, firstTokenMs, ok } = proof;
  const failure = failureOf(proof);
  const before = await readKeptProof(host, subject.id);
  const kept: KeptProof = {
    at: new Date().toISOString(),
    depth,
    ok,
    words: failure?.message ?? summaryOf(proof),
    ...(failure === null ? {} : { hint: failure.hint }),
    // A shorter proof measures too, but what it could not measure is not unknown.
    tokensPerSecond: tokensPerSecond ?? before?.tokensPerSecond ?? null,
    firstTokenMs: firstTokenMs ?? before?.firstTokenMs ?? null,
    instance: subject.instance,
    whole: depth !== "full" ? (before?.whole ?? null) : ok ? subject.build : null,
  };
  await mkdir(folder(host), { recursive: true, mode: 0o700 });
  await writeJson(path(host, subject.id), kept);
  return kept;
}

export async function readKeptProof(host: Host, id: string): Promise<KeptProof | null> {
  return await readJson<KeptProof>(path(host, id));
}

export async function dropProof(host: Host, id: string): Promise<void> {
  await rm(path(host, id), { force: true });
}

/** For whoever is not the supervisor: what is declared and runs, by the files of this host. */
export async function subjectsNow(host: Host): Promise<Subject[]> {
  const [desired, { daemon }, version] = await Promise.all([
    readDesired(host),
    keptDaemon(host),
    installedVersion(host),
  ]);
  return subjectsOf(desired, daemon, version);
}

/** Null when it was never proved. */
export async function observedProof(host: Host, subject: Subject): Promise<ObservedProof | null> {
  const kept = await readKeptProof(host, subject.id);
  if (kept === null) return null;
  const { instance, whole: _, ...proof } = kept;
  return { ...proof, current: instance === subject.instance };
}

const folder = (host: Host) => join(host.paths.state, "proofs");
const path = (host: Host, id: string) => join(folder(host), `${encodeURIComponent(id)}.json`);
