/** From the spec to what hostctl is told: pure, and without tokens, which `drift.ts` adds. */
import { dirname } from "node:path";
import { type Architecture, knownDigest, releaseUrl } from "../lmstudio/release.ts";
import type {
  LmstudioDocument,
  ModelDocument,
  ModelFileDocument,
  ObserveDocument,
  ResourceName,
} from "../spec/host-documents.ts";
import { keysFileName } from "../spec/host-layout.ts";
import { type HostSpec, proxyRuntime } from "../spec/host-spec.ts";
import { defaultRepo, fileName, sourceDocument } from "../spec/model-names.ts";
import type { ProxyConfigInput } from "../spec/proxy-config.ts";
import { shortHash } from "../spec/stable-json.ts";

type Bare<T> = Omit<T, "token">;

export interface Documents {
  readonly lmstudio: Bare<LmstudioDocument>;
  readonly models: readonly Bare<ModelDocument>[];
  /** The proxy's configuration. Keys are in a file of their own: their digests are added where the document becomes a secret. */
  readonly proxyConfig: ProxyConfigInput;
  readonly runtime: "docker" | "native";
}

export function documentsOf(spec: HostSpec, stack: string, architecture: Architecture): Documents {
  const envelope = { stack, become: spec.connection.become };
  const { version, url, mirrors, engine, backendPort } = spec.lmstudio;
  // A digest that is known belongs to the publisher's archive, not to one from another address.
  const sha512 =
    spec.lmstudio.sha512 ?? (url === undefined ? knownDigest(version, spec.platform, architecture) : undefined);
  return {
    lmstudio: {
      ...envelope,
      platform: spec.platform,
      version,
      url: url ?? releaseUrl(version, spec.platform, architecture),
      ...(mirrors === undefined ? {} : { mirrors }),
      ...(sha512 === undefined ? {} : { sha512 }),
      ...(engine === undefined ? {} : { engine }),
      backendPort,
      models: spec.models.map(({ id }) => id),
      mounts: modelFolders(spec),
    },
    models: spec.models.map((model, order) => ({
      ...envelope,
      id: model.id,
      source: sourceDocument(model.source),
      ...(model.sha256 === undefined ? {} : { sha256: model.sha256 }),
      import: model.import,
      publisher: model.publisher,
      repo: model.repo ?? defaultRepo(fileName(model.source)),
      load: model.load,
      order,
    })),
    proxyConfig: {
      listen: { host: spec.proxy.bind, port: spec.proxy.port },
      upstream: `http://127.0.0.1:${backendPort}`,
      models: {
        ...Object.fromEntries(
          spec.models.map(({ id, thinking, load }) => [
            id,
            { thinking, slots: load.parallel, contextLength: load.contextLength },
          ]),
        ),
        "*": { thinking: "off" },
      },
      ...(spec.proxy.keys.length === 0 ? {} : { keysFile: keysFileName }),
      allowAnonymous: spec.proxy.allowAnonymous,
      noThink: spec.proxy.noThink,
      ...(spec.proxy.search === undefined ? {} : { search: spec.proxy.search }),
    },
    runtime: proxyRuntime(spec),
  };
}

/** Models often lie on a disk of their own, which a service must wait for at boot. */
const modelFolders = (spec: HostSpec): string[] =>
  [...new Set(spec.models.flatMap(({ source }) => (source.path ? [dirname(source.path)] : [])))].sort();

/** The part of a model's document that concerns its file. */
export const modelFileDocument = ({
  stack,
  become,
  id,
  source,
  sha256,
}: Bare<ModelDocument>): Bare<ModelFileDocument> => ({
  stack,
  become,
  id,
  source,
  ...(sha256 === undefined ? {} : { sha256 }),
});

export const observeDocument = (documents: Documents): ObserveDocument => ({
  stack: documents.lmstudio.stack,
  become: documents.lmstudio.become,
  backendPort: documents.lmstudio.backendPort,
  proxyPort: documents.proxyConfig.listen?.port ?? 0,
  models: documents.models.map((model) => ({ ...model, token: "observe" })),
  lmstudio: { ...documents.lmstudio, token: "observe" },
});

/** What each resource's document is, by name: a token says which document the host last made true. */
export function documentHashes(
  documents: Documents,
  runtime: { readonly hash: string; readonly imageHash: string },
  image: string | undefined,
): Record<ResourceName, string> {
  const proxy = [documents.proxyConfig, documents.runtime];
  const imageHash = shortHash(image ?? runtime.imageHash);
  const ofModels = documents.models.flatMap((model) => [
    [`model-file-${model.id}`, shortHash(modelFileDocument(model))],
    [`model-${model.id}`, shortHash(model)],
  ]);
  return {
    runtime: shortHash(runtime.hash),
    // A new runtime brings a new supervisor, which only a convergence of LM Studio puts in place; a native proxy runs from it too.
    lmstudio: shortHash([documents.lmstudio, runtime.hash]),
    ...Object.fromEntries(ofModels),
    "proxy-files": shortHash(documents.runtime === "native" ? [proxy, runtime.hash] : proxy),
    "proxy-image": imageHash,
    "proxy-gate": shortHash("gate"),
    proof: shortHash([documents.lmstudio, documents.models, proxy, imageHash]),
  } as Record<ResourceName, string>;
}
