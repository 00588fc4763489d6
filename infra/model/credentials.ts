/** Tokens that sources name: Pulumi secrets `lmstack:secret.NAME`, by model id. */
import type { Lookup } from "../proxy/keys.ts";
import { type Fault, fault } from "../spec/faults.ts";
import type { HostSpec } from "../spec/host-spec.ts";

export type Credentials = ReadonlyMap<string, string>;

export function readCredentials(
  { models }: HostSpec,
  lookup: Lookup,
): { readonly credentials: Credentials; readonly faults: Fault[] } {
  const credentials = new Map<string, string>();
  const faults: Fault[] = [];
  for (const [index, { id, source }] of models.entries()) {
    if (source.secret === undefined) continue;
    const where = `models[${index}].source.secret (${source.secret})`;
    const next = `run \`pulumi config set --secret lmstack:secret.${source.secret}\` and type the token`;
    const found = lookup(`secret.${source.secret}`);
    const lacking = found === undefined ? "no value" : found.secret ? null : "a value in plain text";
    if (found === undefined || lacking !== null)
      faults.push(fault(where, lacking ?? "no value", `a secret lmstack:secret.${source.secret}`, next));
    else if (!/^[\x21-\x7e]+$/.test(found.value))
      faults.push(fault(where, "a value that no header can carry", "printable ASCII without blanks", next));
    else credentials.set(id, found.value);
  }
  return { credentials, faults };
}
