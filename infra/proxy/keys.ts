/** The values behind `proxy.keys`: Pulumi secrets, known to the program and to nobody else. */
import { createHash, scryptSync } from "node:crypto";
import type { z } from "zod";
import { type Fault, fault } from "../spec/faults.ts";
import type { HostSpec, KeySpec } from "../spec/host-spec.ts";
import type { keysFileSchema } from "../spec/proxy-config.ts";

/** What the spec says of a key, and the key itself. */
export type Key = KeySpec & { readonly value: string };
export type Keys = readonly Key[];

/** A configured value, and whether it is stored as a secret. */
export type Lookup = (name: string) => { readonly value: string; readonly secret: boolean } | undefined;

export function readKeys(spec: HostSpec, lookup: Lookup): { readonly keys: Keys; readonly faults: Fault[] } {
  const keys: Key[] = [];
  const faults: Fault[] = [];
  spec.proxy.keys.forEach((entry, index) => {
    const { id } = entry;
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
    } else {
      const same = keys.find(({ value }) => value === found.value);
      if (same) faults.push(fault(where, `the value of the key ${same.id} too`, "a value of its own", next));
      else keys.push({ ...entry, value: found.value });
    }
  });
  return { keys, faults };
}

/** As the proxy knows them. The digests of keys that a person made up could be guessed, so this is to be kept a secret too. */
export const keyDigests = (keys: Keys): z.input<typeof keysFileSchema>["keys"] =>
  keys.map(({ value, ...entry }) => ({ ...entry, sha256: createHash("sha256").update(value).digest("hex") }));

/** The key for what lmstack itself asks and for Codex: the one that is bound by the least. Undefined without keys. */
export function ownKey(keys: Keys): Key | undefined {
  const bonds = ({ models, expires, admin, requestsPerMinute }: Key): number =>
    (models.includes("*") ? 0 : 8) + (expires ? 4 : 0) + (admin ? 2 : 0) + (requestsPerMinute ? 1 : 0);
  return [...keys].sort((a, b) => bonds(a) - bonds(b))[0];
}

/** Models that a key may use, out of all. Without a key the endpoint is open. */
export const usableWith = <M extends { readonly id: string }>(
  key: Key | undefined,
  models: readonly M[],
): readonly M[] =>
  key === undefined || key.models.includes("*") ? models : models.filter(({ id }) => key.models.includes(id));

/**
 * Says whether keys and what they allow are the same as before, in a token, which is no secret. Slow on purpose, because a key that a person made
 * up could be guessed from a quick digest. Empty without keys.
 */
export const keysFingerprint = (keys: Keys, stack: string): string =>
  keys.length === 0 ? "" : scryptSync(JSON.stringify(keys), `lmstack ${stack}`, 12).toString("hex");
