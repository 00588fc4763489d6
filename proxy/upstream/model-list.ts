import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { aliasesOf } from "../thinking/wish.ts";

interface Listed {
  readonly id?: unknown;
}

/**
 * LM Studio's `/v1/models` with the aliases of each model behind it, and without what the key may not use. A body that is no such list stays as
 * it is.
 */
export function listedModels(
  body: Buffer,
  policies: ProxyConfig["models"],
  mayUse: (model: string) => boolean,
): Buffer {
  let parsed: { data?: unknown };
  try {
    parsed = JSON.parse(body.toString()) as { data?: unknown };
  } catch {
    return body;
  }
  if (!Array.isArray(parsed?.data)) return body;
  const data = (parsed.data as Listed[]).flatMap((model) => {
    const { id } = model;
    if (typeof id !== "string") return [model];
    if (!mayUse(id)) return [];
    // Embedding models have nothing to switch; LM Studio names them so, and only declared ones may be called otherwise.
    if (id.startsWith("text-embedding") && !Object.hasOwn(policies, id)) return [model];
    return [model, ...aliasesOf(id).map((alias) => ({ ...model, id: alias }))];
  });
  return Buffer.from(JSON.stringify({ ...parsed, data }));
}
