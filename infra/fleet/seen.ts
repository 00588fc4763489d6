/** What one look at a host means for a plan: whether it serves, and what `up` would do there. Pure. */
import { answers } from "../cli/status-report.ts";
import type { Survey } from "../host/survey.ts";
import type { Observed } from "../spec/host-documents.ts";
import { type HostSpec, isRemote } from "../spec/host-spec.ts";
import { fileName } from "../spec/model-names.ts";
import type { FleetHost } from "./compose.ts";
import type { Reading } from "./metrics.ts";
import type { Refusal, SeenHost, Step } from "./plan.ts";

type Looked = Pick<Survey, "judgements" | "known"> & { readonly documents: Pick<Survey["documents"], "runtime"> };

const whatItIs = ({ name, spec, labels, groups }: FleetHost) => ({
  ...{ name, labels, groups, platform: spec.platform },
  declares: spec.models.map(({ id }) => id),
});

export const unseen = (host: FleetHost, refusal: Refusal): SeenHost => ({
  ...whatItIs(host),
  ...{ available: false, serves: [], reading: null, provedPaces: {}, steps: [], failed: null, refusal },
});

/** @param refusal for a reason that lies on the operator's side */
export function seenHost(
  host: FleetHost,
  survey: Looked,
  observed: Observed | null,
  reading: Reading | null,
  sites: ReadonlyMap<string, string>,
  refusal: Refusal | null,
): SeenHost {
  const { judgements, known } = survey;
  const available = answers(host.spec, observed);
  const failing = Object.entries(observed?.failing ?? {}).filter(([resource]) => resource in judgements);
  return {
    ...whatItIs(host),
    available,
    serves: available && observed ? modelsOf(observed, known.tokens) : [],
    reading,
    provedPaces: pacesIn(observed),
    steps: stepsOf(host.spec, survey, observed, sites),
    failed: failing.map(([resource, why]) => `${resource}: ${why}`).join("; ") || null,
    refusal,
  };
}

const pacesIn = (observed: Observed | null): Record<string, number> =>
  Object.fromEntries(
    Object.entries(observed?.models ?? {}).flatMap(([id, { proof }]) =>
      proof?.tokensPerSecond ? [[id, proof.tokensPerSecond] as const] : [],
    ),
  );

/** Declared models are asked for; that one was loaded which is declared no longer is known from what it left behind. */
function modelsOf({ models }: Observed, tokens: Readonly<Record<string, string>>): string[] {
  const loaded = Object.keys(models).filter((id) => models[id]?.instances.some(({ identifier }) => identifier === id));
  return [...loaded, ...formerModels(tokens, Object.keys(models))];
}

const formerModels = (tokens: Readonly<Record<string, string>>, declared: readonly string[]): string[] =>
  Object.keys(tokens)
    .filter((name) => name.startsWith("model-") && !name.startsWith("model-file-"))
    .map((name) => name.slice("model-".length))
    .filter((id) => !declared.includes(id));

/** As the program makes them; files first, because they change nothing that serves. */
const order = [
  "runtime",
  "model-file-",
  "lmstudio",
  "model-",
  "proxy-files",
  "proxy-image",
  "proxy-container",
  "proxy-gate",
  "proof",
];
const rank = (resource: string): number => order.findIndex((begin) => resource.startsWith(begin));
const onlyWithDocker = new Set(["proxy-image", "proxy-container", "proxy-gate"]);

function stepsOf(
  spec: HostSpec,
  { judgements, known, documents }: Looked,
  observed: Observed | null,
  sites: ReadonlyMap<string, string>,
): Step[] {
  const containers = observed?.proxy.containers.map(({ token }) => token) ?? [];
  const isTrue = (resource: string, token: string): boolean =>
    resource === "proxy-container" ? containers.includes(token) : known.tokens[resource] === token;
  const changed = Object.entries(judgements)
    .filter(([resource]) => documents.runtime === "docker" || !onlyWithDocker.has(resource))
    .filter(([resource, { token }]) => !isTrue(resource, token))
    .map(([resource]) => resource);
  const gone = formerModels(
    known.tokens,
    spec.models.map(({ id }) => id),
  ).map((id) => `model-${id}`);
  return [...changed, ...gone]
    .sort((a, b) => rank(a) - rank(b))
    .map((resource) => {
      const model = spec.models.find(({ id }) => resource === `model-file-${id}`);
      const fetch = model && fetchFrom(model, sites);
      return { resource, ...(fetch ? { fetch } : {}) };
    });
}

/** Only where every address is one of this fleet's does the order of hosts matter. */
function fetchFrom({ source, sha256 }: HostSpec["models"][number], sites: ReadonlyMap<string, string>): Step["fetch"] {
  const peers = [...(source.peer ?? []).map((address) => new URL(address).hostname), ...(source.peerStacks ?? [])];
  const from = peers.map((peer) => sites.get(peer));
  if (from.length === 0 || from.includes(undefined)) return undefined;
  return { file: [sha256 ?? []].flat()[0] ?? fileName(source), from: from.filter((name) => name !== undefined) };
}

/** Hosts of the fleet by the address that others reach them at, and by their stack. */
export const sitesOf = (hosts: readonly FleetHost[]): ReadonlyMap<string, string> =>
  new Map(
    hosts.flatMap(({ name, spec: { connection } }) => [
      ...(isRemote(connection) ? [[connection.host, name] as const] : []),
      [name, name] as const,
    ]),
  );
