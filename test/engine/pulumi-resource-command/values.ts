// Property values as the engine sends them: JSON in which a secret is an object with a signature, and a value that is
// not known yet (in a preview) is one fixed string.

export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };
export type Properties = Readonly<Record<string, Value>>;

const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";
const SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270";

/** The engine's word for "a string that is not known before the update runs". */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export function isMap(value: Value | undefined): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSecret(value: Value): value is { readonly [key: string]: Value } {
  return isMap(value) && value[SIGNATURE_KEY] === SECRET_SIGNATURE;
}

/** The same value without its secrecy, at every depth: what a command is started with, never what is sent back. */
export function reveal(value: Value): Value {
  if (isSecret(value)) return reveal(value.value ?? null);
  if (Array.isArray(value)) return value.map(reveal);
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, reveal(item)]));
  return value;
}

/** Equal in content and in secrecy. */
export function same(a: Value | undefined, b: Value | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (isMap(a) && isMap(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
  }
  return a === b;
}

/** Secrets are compared as a whole, so that no path leads into one. */
export function opaque(value: Value): boolean {
  return isSecret(value) || (!isMap(value) && !Array.isArray(value));
}
