/** JSON with sorted keys: the same value always gives the same bytes, so that a second `up` sees no difference. */
import { createHash } from "node:crypto";

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
};

export const stableJson = (value: unknown): string => JSON.stringify(sorted(value));

/** The first 12 hexadecimal digits of the SHA-256 of a value's stable JSON. */
export const shortHash = (value: unknown): string =>
  createHash("sha256").update(stableJson(value)).digest("hex").slice(0, 12);

/**
 * By which a declared spec is known in the outputs of its stack and in the journal of rollouts.
 * @param text stable JSON of what was declared, without defaults
 */
export const specDigest = (text: string): string => shortHash(text);
