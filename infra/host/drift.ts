/**
 * Drift, as pure functions. A token is `DOCUMENT.SALT`: the hash of the document that the host last made true, and a salt that changes whenever
 * it has to be made true again. The token is part of a resource's inputs, so a new salt is what makes Pulumi see exactly that resource.
 */
import type { Observed, ObservedContainer, ObservedService, ResourceName } from "../spec/host-documents.ts";
import { shortHash } from "../spec/stable-json.ts";
import type { Documents } from "./documents.ts";

export interface Judgement {
  readonly token: string;
  /** What differs from what was left behind, in words; empty when nothing does. */
  readonly reasons: readonly string[];
}

/**
 * @param fresh a value of this run: a token that the host does not hold must never equal one in an older state, not even when the host was
 *   rolled back to an older disk.
 */
export function judge(
  documentHash: string,
  observed: string | undefined,
  reasons: readonly string[],
  fresh: string,
): Judgement {
  const renewed = `${documentHash}.${shortHash([observed ?? null, reasons, fresh])}`;
  if (observed === undefined) return { token: renewed, reasons: [] };
  // Another document was asked for: that is a change by the operator and shows by itself.
  if (!observed.startsWith(`${documentHash}.`)) return { token: renewed, reasons: [] };
  return reasons.length === 0 ? { token: observed, reasons: [] } : { token: renewed, reasons };
}

/** What is not as declared, by resource. A resource is blamed for its own fault only: nothing is said of models while the daemon is down. */
export function driftReasons(documents: Documents, observed: Observed): Record<string, string[]> {
  const reasons: Record<string, string[]> = { lmstudio: lmstudioReasons(documents, observed) };
  for (const model of documents.models) {
    const seen = observed.models[model.id];
    reasons[`model-file-${model.id}`] =
      seen && !seen.verified && (model.sha256 !== undefined || !("path" in model.source))
        ? ["its file is gone or no longer the one that was verified"]
        : [];
    reasons[`model-${model.id}`] = observed.lmstudio.daemon.running ? modelReasons(model, seen) : [];
  }
  for (const [name, incidents] of Object.entries(observed.incidents ?? {})) reasons[name]?.push(...incidents);
  reasons.proof = documents.models.flatMap(({ id }) => {
    const proof = observed.models[id]?.proof;
    return proof?.current && !proof.ok ? [proof.words.split("\n", 1)[0] as string] : [];
  });
  const { filesSha256, expectedFilesSha256, imagePresent, service } = observed.proxy;
  reasons["proxy-files"] =
    filesSha256 === expectedFilesSha256 ? [] : ["its configuration on the host was edited or removed"];
  if (documents.runtime === "native") reasons["proxy-files"].push(...serviceReasons("the proxy's service", service));
  reasons["proxy-image"] = documents.runtime === "docker" && !imagePresent ? ["its image is gone from the host"] : [];
  return reasons;
}

function serviceReasons(name: string, service: ObservedService | null): string[] {
  if (service === null) return [`${name} is stopped`];
  const reasons: string[] = [];
  if (service.sha256 !== service.expectedSha256) reasons.push(`${name} file was edited or removed`);
  else if (!service.active) reasons.push(`${name} is stopped`);
  if (!service.enabled && service.sha256 !== null) reasons.push(`${name} does not start at boot`);
  return reasons;
}

function lmstudioReasons({ lmstudio: declared }: Documents, { lmstudio }: Observed): string[] {
  const reasons: string[] = [];
  const { installedVersion, daemon, server, service, engine, settingsDrift } = lmstudio;
  if (!lmstudio.adopted && installedVersion !== declared.version) {
    reasons.push(`version ${installedVersion ?? "none"} is installed instead of ${declared.version}`);
  }
  reasons.push(...serviceReasons("the supervisor's service", service));
  if (!daemon.running) reasons.push("the daemon is not running");
  else if (!daemon.supervised) reasons.push("the daemon runs outside the supervisor");
  if (daemon.running && !server.greeting) reasons.push("its server does not answer");
  else if (server.greeting && server.port !== declared.backendPort) {
    reasons.push(`its server listens on port ${server.port} instead of ${declared.backendPort}`);
  }
  if (server.address !== null && !/^(127\.|::1|\[::1\]|localhost)/.test(server.address)) {
    reasons.push(`its server listens on ${server.address} instead of loopback`);
  }
  if (settingsDrift.length > 0) reasons.push(`settings were changed: ${settingsDrift.join(", ")}`);
  if (
    declared.engine &&
    engine &&
    (engine.name !== declared.engine.name || engine.version !== declared.engine.version)
  ) {
    reasons.push(
      `engine ${engine.name}@${engine.version} is selected instead of ${declared.engine.name}@${declared.engine.version}`,
    );
  }
  return reasons;
}

function modelReasons(model: Documents["models"][number], seen: Observed["models"][string] | undefined): string[] {
  if (!seen?.imported) return ["its file is no longer among LM Studio's models"];
  const own = seen.instances.filter(({ identifier }) => identifier === model.id);
  const reasons: string[] = [];
  if (own.length === 0) reasons.push("it is not loaded");
  for (const { contextLength, parallel } of own) {
    if (contextLength !== null && contextLength !== model.load.contextLength) {
      reasons.push(`it is loaded with context ${contextLength} instead of ${model.load.contextLength}`);
    }
    if (parallel !== null && parallel !== model.load.parallel) {
      reasons.push(`it is loaded with parallel ${parallel} instead of ${model.load.parallel}`);
    }
  }
  const { defaultsDrift = [] } = seen;
  if (defaultsDrift.length > 0) reasons.push(`its defaults in LM Studio were changed: ${defaultsDrift.join(", ")}`);
  const doubles = seen.instances
    .filter(({ identifier }) => identifier !== model.id)
    .map(({ identifier }) => identifier);
  if (doubles.length > 0) reasons.push(`it is also loaded as ${doubles.join(", ")}`);
  return reasons;
}

export type Judgements = Readonly<Record<ResourceName | "proxy-container", Judgement>>;

/**
 * @param tokens what the host holds, or the last outputs when it could not be reached
 * @param containerHash the container's own hash, given the token of its configuration: some of that is read only when the proxy starts
 * @param keys what the keys are, as a hash; empty without any
 * @param containers null when unknown: the host could not be reached
 */
export function judgeAll(
  hashes: Readonly<Record<ResourceName, string>>,
  containerHash: (filesToken: string) => string,
  keys: string,
  tokens: Readonly<Record<string, string>>,
  reasons: Readonly<Record<string, readonly string[]>>,
  containers: readonly ObservedContainer[] | null,
  fresh: string,
): Judgements {
  const judged: Record<string, Judgement> = {};
  for (const [name, hash] of Object.entries(hashes))
    judged[name] = judge(hash, tokens[name], reasons[name] ?? [], fresh);
  const files = judgeFiles(hashes["proxy-files"], keys, tokens["proxy-files"], reasons["proxy-files"] ?? [], fresh);
  judged["proxy-files"] = files.both;
  const hash = containerHash(files.configuration);
  const declared = (containers ?? [])
    .filter(({ token }) => token.startsWith(`${hash}.`))
    .sort((a, b) => rank(b) - rank(a));
  const container = judge(hash, containers === null ? tokens["proxy-container"] : declared[0]?.token, [], fresh);
  // Gated once and now nothing of it is left: somebody removed it. The gate itself starts, judges and clears away what exists.
  const gone = containers?.length === 0 && tokens["proxy-gate"] !== undefined;
  judged["proxy-container"] = gone ? { ...container, reasons: ["the proxy's container is gone"] } : container;
  judged["proxy-gate"] = judge(
    hashes["proxy-gate"],
    tokens["proxy-gate"],
    gateReasons(declared, containers ?? []),
    fresh,
  );
  return judged as Judgements;
}

/**
 * The token of the proxy's files is two in one, `CONFIGURATION+KEYS`, each with a salt of its own: the container stands on the first half only,
 * because a running proxy takes other keys by itself.
 */
function judgeFiles(
  hash: string,
  keys: string,
  observed: string | undefined,
  reasons: readonly string[],
  fresh: string,
) {
  const [ofConfiguration, ofKeys] = observed?.split("+") ?? [];
  const configuration = judge(hash, ofConfiguration, reasons, fresh);
  const token = keys === "" ? "" : `+${judge(keys, ofKeys, [], fresh).token}`;
  const both: Judgement = { token: `${configuration.token}${token}`, reasons: configuration.reasons };
  return { both, configuration: configuration.token };
}

const rank = ({ running, health }: ObservedContainer): number => (running ? 2 : 0) + (health === "healthy" ? 1 : 0);

function gateReasons(declared: readonly ObservedContainer[], all: readonly ObservedContainer[]): string[] {
  const current = declared[0];
  if (!current) return [];
  const reasons: string[] = [];
  if (!current.running && all.some(({ withoutGpu, running }) => withoutGpu && running))
    return ["the proxy's container does not start with the GPU: one without it serves meanwhile"];
  if (!current.running) reasons.push("the proxy's container is stopped");
  else if (current.health === "unhealthy") reasons.push("the proxy's container is not healthy");
  // One that stood in ends by itself when the declared one is back.
  const others = all.filter(({ withoutGpu }) => !withoutGpu).length - 1;
  if (others > 0)
    reasons.push(
      others === 1
        ? "another container of the proxy is left over"
        : `${others} other containers of the proxy are left over`,
    );
  return reasons;
}
