/** One stack, one host: what `pulumi up` makes, in its order. A stack that names an inventory is the gateway of many. */
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { CliFault } from "./cli/fault.ts";
import { codexArtifacts, profileName } from "./codex/artifacts.ts";
import { writeArtifacts } from "./codex/write.ts";
import { hostProof, hostRuntime, type Target } from "./host/call.ts";
import { lastKnown } from "./host/last-known.ts";
import { driftLines, surveyHost } from "./host/survey.ts";
import { LmStudio } from "./lmstudio/component.ts";
import { Models } from "./model/component.ts";
import { type Credentials, readCredentials } from "./model/credentials.ts";
import { ModelFiles } from "./model/file.ts";
import { type PeerHosts, prepareWays, readPeerHosts } from "./model/peer-hosts.ts";
import { NoThinkProxy } from "./proxy/component.ts";
import type { ProofResult } from "./proxy/endpoint-proof.ts";
import { type Keys, keysFingerprint, ownKey, readKeys, usableWith } from "./proxy/keys.ts";
import { proofFigures } from "./proxy/proof-figures.ts";
import { Faults } from "./spec/faults.ts";
import { baseUrl } from "./spec/host-spec.ts";
import { parseHostSpec } from "./spec/parse.ts";
import type { ProvedModel } from "./spec/proof/dialect.ts";
import { shortHash, specDigest, stableJson } from "./spec/stable-json.ts";

/** @throws pulumi.RunError, which prints without a stack, for what a person has to put right. */
export async function deploy(): Promise<pulumi.Inputs> {
  try {
    const inventory = new pulumi.Config("lmstack").get("gateway");
    if (inventory === undefined) return await program();
    // Only here: a host's stack starts without what knows of fleets.
    const { deployGateway } = await import("./fleet/gateway/component.ts");
    return await deployGateway(inventory, pulumi.getStack(), secretLookup);
  } catch (error) {
    throw error instanceof Faults || error instanceof CliFault ? new pulumi.RunError(error.message) : error;
  }
}

async function program(): Promise<pulumi.Inputs> {
  const stack = pulumi.getStack();
  const declared = new pulumi.Config("lmstack").getObject("host");
  const spec = parseHostSpec(declared);
  const { keys, faults: ofKeys } = readKeys(spec, secretLookup);
  const { credentials, faults: ofSources } = readCredentials(spec, secretLookup);
  const { peers, faults: ofPeers } = readPeerHosts(spec);
  const faults = [...ofKeys, ...ofSources];
  if (faults.length > 0) throw new Faults("secrets are missing, nothing was touched:", faults);
  if (ofPeers.length > 0)
    throw new Faults("hosts that should share a model are unknown, nothing was touched:", ofPeers);
  await prepareWays(peers);

  const survey = await surveyHost(spec, stack, keysFingerprint(keys, stack), lastKnown);
  for (const line of driftLines(survey.judgements)) pulumi.log.warn(line);
  const outputs = declare({ spec, stack, survey }, keys, credentials, peers);
  // By its digest a rollout knows what to go back to, so that of an `up` that failed is never told.
  return { ...outputs, spec: pulumi.output(outputs.proof).apply(() => specDigest(stableJson(declared))) };
}

/** The resources of one host, each waiting for what it stands on. */
export function declare(
  target: Target,
  keys: Keys,
  credentials: Credentials = new Map(),
  peers: PeerHosts = new Map(),
): pulumi.Inputs {
  const { spec, stack, survey } = target;
  const { documents } = survey;

  const runtime = hostRuntime(target, survey.runtime);
  const files = new ModelFiles("model-files", target, credentials, peers, [runtime]);
  const lmstudio = new LmStudio("lmstudio", target, files.verified);
  const models = new Models("models", target, [lmstudio.converged]);
  const proxy = new NoThinkProxy("proxy", target, keys, models.loaded);

  const asked = spec.models.map(({ id, thinking }) => ({ id, thinking }));
  const proved = spec.models.map(({ id, thinking, load }) => ({ id, thinking, contextLength: load.contextLength }));
  const { stack: owner, become } = documents.lmstudio;
  const proof = hostProof(
    target,
    { stack: owner, become, models: proved, port: spec.proxy.port },
    { dependsOn: proxy.serving },
  );
  const key = ownKey(keys);
  const seen = operatorProof(
    baseUrl(spec),
    usableWith(key, proved),
    key?.value,
    survey.judgements.proof.token.split(".", 1)[0] as string,
    proof,
  );

  const artifacts = codexArtifacts(
    { ...spec, models: [...usableWith(key, spec.models)] },
    key?.value,
    profileName(stack),
  );
  seen.stdout.apply(() => pulumi.runtime.isDryRun() || writeArtifacts(artifacts, stack));
  const foreign = survey.facts?.lms === "foreign";
  const tokens = Object.fromEntries(Object.entries(survey.judgements).map(([name, { token }]) => [name, token]));
  return {
    endpoint: baseUrl(spec),
    models: asked,
    proof: seen.stdout.apply((line) => (JSON.parse(line) as ProofResult).words),
    figures: proof.stdout.apply(proofFigures),
    // One of them holds a key, and all of them are long: shown as [secret], read by `lmstack codex install`.
    codex: pulumi.secret(Object.fromEntries(artifacts.map(({ name, content, mode }) => [name, { mode, content }]))),
    // What somebody else installed stays as it is, and may change under our hands: `lmstack status` tells its version.
    versions: {
      lmstudio: foreign ? "taken over" : spec.lmstudio.version,
      runtime: survey.runtime.hash,
      node: survey.runtime.node,
    },
    // For a preview while the host is away.
    known: pulumi.secret({ ...survey.known, tokens }),
  };
}

/** The raw configuration, because keys become part of documents here; whatever leaves the program is marked secret again. */
function secretLookup(name: string): { value: string; secret: boolean } | undefined {
  const key = `lmstack:${name}`;
  const value = pulumi.runtime.getConfig(key);
  // As the engine tells the SDK, which does not pass it on.
  const secrets = JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS ?? "[]") as string[];
  return value === undefined ? undefined : { value, secret: secrets.includes(key) };
}

/** Asked from here through the address that clients use, whenever what is served has changed. */
function operatorProof(
  address: string,
  models: readonly ProvedModel[],
  key: string | undefined,
  served: string,
  after: pulumi.Resource,
): command.local.Command {
  return new command.local.Command(
    "proof-from-here",
    {
      create: "../node_modules/.bin/node proxy/endpoint-proof.ts",
      stdin: pulumi.secret(
        stableJson({ baseUrl: address, models, served: shortHash(served), ...(key === undefined ? {} : { key }) }),
      ),
      logging: command.local.Logging.Stderr,
      addPreviousOutputInEnv: false,
    },
    { dependsOn: after },
  );
}
