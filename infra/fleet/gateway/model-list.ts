/** The models of a whole fleet, as one host would list its own: pure. */
import { declaredEntries } from "../../codex/artifacts.ts";
import type { HostSpec } from "../../spec/host-spec.ts";

/** A session may come to any of the hosts, so of each model the smallest window counts. */
export function modelsOf(specs: readonly HostSpec[]): HostSpec["models"] {
  const byId = Map.groupBy(
    specs.flatMap(({ models }) => models),
    ({ id }) => id,
  );
  return [...byId.values()].map(
    (same) => same.toSorted((a, b) => a.load.contextLength - b.load.contextLength)[0] as HostSpec["models"][number],
  );
}

/**
 * What `/v1/models` answers for all hosts, in the form that each of them has: `data` for OpenAI's clients, `models` for Codex. Null where a host
 * itself has to say what a key may use.
 */
export function modelList(specs: readonly HostSpec[]): string | null {
  if (specs.some(({ proxy }) => proxy.keys.some(({ models }) => !models.includes("*")))) return null;
  const models = declaredEntries(modelsOf(specs));
  const data = models.map(({ slug }) => ({ id: slug, object: "model", created: 0, owned_by: "lmstack" }));
  return JSON.stringify({ object: "list", data, models });
}
