import { catalogEntries } from "../../infra/spec/codex-catalog.ts";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { thinkingFor } from "../thinking/policy.ts";
import { aliasesOf } from "../thinking/wish.ts";
import { parsed, recordOf } from "../unknown-json.ts";
import type { CatalogModel } from "./catalog.ts";

interface Listed {
  readonly id?: unknown;
}

/**
 * LM Studio's `/v1/models` with the aliases of each model behind it, and without what the key may not use; beside `data`, which OpenAI's clients read,
 * `models` as Codex's `model_catalog_url` asks for it. A body that is no such list stays as it is.
 */
export function listedModels(
  body: Buffer,
  config: Pick<ProxyConfig, "models" | "codexTools">,
  mayUse: (model: string) => boolean,
  known: (model: string) => CatalogModel | undefined,
): Buffer {
  const list = recordOf(parsed(body.toString()));
  if (!Array.isArray(list.data)) return body;
  const listed = list.data as readonly Listed[];
  const data = listed.flatMap((model) => {
    const { id } = model;
    if (typeof id !== "string") return [model];
    if (!mayUse(id)) return [];
    if (embeds(id, config.models, known)) return [model];
    return [model, ...aliasesOf(id).map((alias) => ({ ...model, id: alias }))];
  });
  const names = listed.flatMap(({ id }) => (typeof id === "string" ? [id] : []));
  return Buffer.from(JSON.stringify({ ...list, data, models: codexModels(names, config, mayUse, known) }));
}

/**
 * A declared model is there for Codex while it is being loaded too, with the window that it will have. One that LM Studio would only load on demand
 * has a window that nobody knows yet, and no entry.
 */
function codexModels(
  names: readonly string[],
  { models, codexTools }: Pick<ProxyConfig, "models" | "codexTools">,
  mayUse: (model: string) => boolean,
  known: (model: string) => CatalogModel | undefined,
) {
  const all = new Set([...Object.keys(models).filter((name) => name !== "*"), ...names]);
  return [...all].flatMap((id) => {
    const heard = known(id);
    const declared = Object.hasOwn(models, id) ? models[id]?.contextLength : undefined;
    const contextLength = heard?.contextLength ?? declared;
    if (contextLength === undefined || !mayUse(id) || embeds(id, models, known)) return [];
    const { vision, reasoning, reasoningDefault } = heard ?? {};
    const served = { id, contextLength, thinking: thinkingFor(models, id), vision, reasoning, reasoningDefault };
    return catalogEntries(served, codexTools === "translate", (name) => all.has(name));
  });
}

/** Has nothing to switch and nothing to say. LM Studio names them so where it does not tell the type; only declared ones may be called otherwise. */
function embeds(
  id: string,
  policies: ProxyConfig["models"],
  known: (model: string) => CatalogModel | undefined,
): boolean {
  return known(id)?.embedding || (id.startsWith("text-embedding") && !Object.hasOwn(policies, id));
}
