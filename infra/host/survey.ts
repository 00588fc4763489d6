/** One look at a host, and the judgement on it: what `pulumi preview`, `pulumi up` and `lmstack status` all begin with. */
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Architecture } from "../lmstudio/release.ts";
import { type Fault, Faults } from "../spec/faults.ts";
import { type HostSpec, isRemote } from "../spec/host-spec.ts";
import { shortHash } from "../spec/stable-json.ts";
import { type Documents, documentHashes, documentsOf } from "./documents.ts";
import { driftReasons, type Judgements, judgeAll } from "./drift.ts";
import type { HostFacts } from "./facts.ts";
import { preflight } from "./preflight.ts";
import { type Look, lookAtHost, probeScript } from "./probe.ts";
import { type Bundles, buildBundles, packRuntime, type Runtime } from "./runtime.ts";
import { writeSshFiles } from "./ssh-files.ts";

/** What resources need to know of a host; kept in the outputs for a time when it cannot be reached. */
export interface Known {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly architecture: Architecture;
  readonly tokens: Readonly<Record<string, string>>;
}

export interface Survey {
  readonly documents: Documents;
  readonly runtime: Runtime;
  readonly known: Known;
  readonly judgements: Judgements;
  /** Null when the host could not be reached and `known` is from the last outputs. */
  readonly facts: HostFacts | null;
}

export const stackFolder = (stack: string): string =>
  join(fileURLToPath(new URL("../../.lmstack/", import.meta.url)), stack);

/** One round trip, with the ssh configuration of the stack written anew. */
export async function look(spec: HostSpec, stack: string): Promise<Look> {
  const folder = stackFolder(stack);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (isRemote(spec.connection)) await writeSshFiles(spec.connection, folder);
  const documents = documentsOf(spec, stack, spec.platform === "macos-metal" ? "arm64" : "x64");
  return await lookAtHost(spec, folder, probeScript(spec, documents, fileHashes(documents)));
}

/**
 * @param keys `keysFingerprint` of the keys' values and rights, as they are part of what the proxy serves
 * @param building the same for every host of a fleet
 * @param lastKnown asked only when the host cannot be reached; null means that this is a reason to stop
 * @throws Faults
 */
export async function surveyHost(
  spec: HostSpec,
  stack: string,
  keys: string,
  lastKnown: (fault: Fault) => Promise<Known | null>,
  building: Promise<Bundles> = buildBundles(),
): Promise<Survey> {
  // Awaited further down: until then a fault of the host must not become one of the process.
  building.catch(() => {});

  const { facts, fault } = await look(spec, stack);
  const known = facts ? knownOf(facts) : fault.unreachable ? await lastKnown(fault) : null;
  if (!known) throw new Faults("nothing was touched:", [fault as Fault]);

  const documents = documentsOf(spec, stack, known.architecture);
  const faults = facts ? preflight(spec, documents, facts) : [];
  if (faults.length > 0) throw new Faults(`the host is not ready for this spec, nothing was touched:`, faults);

  const runtime = await packRuntime(spec.platform, known.architecture, await building);
  const hashes = documentHashes(documents, runtime, spec.proxy.image);
  const containerHash = (filesToken: string) =>
    shortHash([filesToken, hashes["proxy-image"], known.uid, known.gid, known.home, spec.platform]);
  const reasons = facts?.observed ? driftReasons(documents, facts.observed) : {};
  if (facts?.tokens.runtime && facts.runtime !== runtime.hash) reasons.runtime = ["the runtime is gone from the host"];
  const containers = facts?.observed?.proxy.containers ?? (facts?.runtime === null ? [] : null);
  const judgements = judgeAll(hashes, containerHash, keys, known.tokens, reasons, containers, randomUUID());
  return { documents, runtime, known, judgements, facts: facts ?? null };
}

/** Enough for the probe to skip files that were verified: their hashes do not depend on the runtime. */
const fileHashes = (documents: Documents) => documentHashes(documents, { hash: "", imageHash: "" }, undefined);

export const knownOf = ({ uid, gid, home, machine, tokens }: HostFacts): Known => ({
  uid,
  gid,
  home,
  architecture: machine === "x86_64" ? "x64" : "arm64",
  tokens,
});

/** Drift in words, a line for each resource. */
export const driftLines = (judgements: Judgements): string[] =>
  Object.entries(judgements)
    .filter(([, { reasons }]) => reasons.length > 0)
    .map(([resource, { reasons }]) => `drift: ${resource}: ${reasons.join("; ")}`);
