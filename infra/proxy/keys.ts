/** The values behind `proxy.keys`: Pulumi secrets, known to the program and to nobody else. */
import { scryptSync } from "node:crypto";
import { type Fault, fault } from "../spec/faults.ts";
import type { HostSpec } from "../spec/host-spec.ts";

export type Keys = readonly { readonly id: string; readonly value: string }[];

/** A configured value, and whether it is stored as a secret. */
export type Lookup = (name: string) => { readonly value: string; readonly secret: boolean } | undefined;

export function readKeys(spec: HostSpec, lookup: Lookup): { readonly keys: Keys; readonly faults: Fault[] } {
  const keys: { id: string; value: string }[] = [];
  const faults: Fault[] = [];
  spec.proxy.keys.forEach((id, index) => {
    const where = `proxy.keys[${index}] (${id})`;
    const next = `run \`pulumi config set --secret lmstack:secret.${id}\` and type the key`;
    const found = lookup(`secret.${id}`);
    if (!found || found.value === "") faults.push(fault(where, "no value", `a secret lmstack:secret.${id}`, next));
    else if (!found.secret)
      faults.push(fault(where, "a value in plain text", `lmstack:secret.${id} to be a secret`, next));
    else if (!/^[\x21-\x7e]{8,}$/.test(found.value)) {
      const what =
        found.value.length < 8
          ? "a value shorter than 8 characters"
          : "a value with blanks, control characters or letters beyond ASCII";
      faults.push(fault(where, what, "8 or more printable ASCII characters, as a header can carry them", next));
    } else keys.push({ id, value: found.value });
  });
  return { keys, faults };
}

/**
 * Says whether the set of keys is the same as before, in a place that anybody may read: the container's label. Slow on purpose, because a key that
 * a person made up could be guessed from a quick digest.
 */
export const keysFingerprint = (keys: Keys, stack: string): string =>
  keys.length === 0 ? "" : scryptSync(JSON.stringify(keys), `lmstack ${stack}`, 12).toString("hex");
