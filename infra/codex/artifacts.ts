/** Everything that the Codex CLI needs to use a stack's endpoint, as files: pure, the same bytes for the same spec. */
import { type CatalogEntry, catalogEntries, renderCatalog } from "../spec/codex-catalog.ts";
import { baseUrl, type HostSpec } from "../spec/host-spec.ts";
import { renderLauncher } from "./launcher.ts";
import { type Endpoint, keyVariable, renderEnvironment, renderProfile } from "./profile.ts";
import { renderReadme } from "./readme.ts";

export interface Artifact {
  readonly name: string;
  readonly content: string;
  readonly mode: number;
  readonly secret: boolean;
}

/** The stack's name as Codex takes it for a profile: letters, digits, `-` and `_`. */
export const profileName = (stack: string): string =>
  (stack.split("/").at(-1) ?? "").replaceAll(/[^A-Za-z0-9_-]+/g, "-");

/**
 * @param key value of the key that Codex is to use; the profile names a variable for it only when there is one
 * @param name of profile and launcher
 */
export function codexArtifacts(
  spec: HostSpec,
  key: string | undefined,
  name: string = spec.codex.provider,
): Artifact[] {
  const endpoint = {
    name,
    provider: spec.codex.provider,
    baseUrl: baseUrl(spec),
    model: spec.models[0]?.id ?? "",
    // The catalog caps it for a model with less.
    window: Math.max(0, ...spec.models.map(({ load }) => load.contextLength)),
    keyed: key !== undefined,
    search: spec.proxy.search !== undefined,
  };
  return endpointFiles(endpoint, key, renderCatalog(declaredEntries(spec.models)));
}

/** Of models as their spec declares them. */
export const declaredEntries = (models: HostSpec["models"]): CatalogEntry[] =>
  models.flatMap(({ id, load, thinking }) =>
    catalogEntries({ id, contextLength: load.contextLength, thinking }, true, (alias) =>
      models.some((model) => model.id === alias),
    ),
  );

export function endpointFiles(endpoint: Endpoint, key: string | undefined, catalog: string): Artifact[] {
  const { name, provider } = endpoint;
  const open = { secret: false, mode: 0o644 };
  return [
    { name: `${name}.config.toml`, content: renderProfile(endpoint), ...open },
    { name: `${name}.catalog.json`, content: catalog, ...open },
    {
      name: `${name}.env`,
      content: renderEnvironment(endpoint.baseUrl, keyVariable(provider), key),
      mode: 0o600,
      secret: key !== undefined,
    },
    { name: `codex-${name}`, content: renderLauncher(name, provider), secret: false, mode: 0o755 },
    { name: `${name}.README.md`, content: renderReadme(endpoint), ...open },
  ];
}
