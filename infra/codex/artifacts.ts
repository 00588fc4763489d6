/** Everything that the Codex CLI needs to use a stack's endpoint, as files: pure, the same bytes for the same spec. */
import { baseUrl, type HostSpec } from "../spec/host-spec.ts";
import { renderCatalog } from "./catalog.ts";
import { renderLauncher } from "./launcher.ts";
import { keyVariable, renderEnvironment, renderProfile } from "./profile.ts";

export interface Artifact {
  readonly name: string;
  readonly content: string;
  readonly mode: number;
  readonly secret: boolean;
}

/** @param key value of the key that Codex is to use; the profile names a variable for it only when there is one */
export function codexArtifacts(spec: HostSpec, key: string | undefined): Artifact[] {
  const { provider } = spec.codex;
  const models = spec.models.map(({ id, load }) => ({ id, contextLength: load.contextLength }));
  const endpoint = { provider, baseUrl: baseUrl(spec), model: spec.models[0]?.id ?? "", keyed: key !== undefined };
  return [
    { name: `${provider}.config.toml`, content: renderProfile(endpoint), mode: 0o644, secret: false },
    { name: `${provider}.catalog.json`, content: renderCatalog(models), mode: 0o644, secret: false },
    {
      name: `${provider}.env`,
      content: renderEnvironment(endpoint.baseUrl, keyVariable(provider), key),
      mode: 0o600,
      secret: key !== undefined,
    },
    { name: `codex-${provider}`, content: renderLauncher(provider), mode: 0o755, secret: false },
  ];
}
