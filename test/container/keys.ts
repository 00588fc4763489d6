/** The keys of the tests, one for each thing that a key can be. */
import { createHash } from "node:crypto";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";

type KeyEntry = NonNullable<ProxyConfigInput["keys"]>[number];

/** May use every model; what a request of these tests has when it says nothing else. */
export const teamKey = "sk-team-4be1";
/** May use `scopedModel` alone. */
export const scopedKey = "sk-scoped-77a0";
export const scopedModel = "scoped-model";
export const expiredKey = "sk-expired-19c3";
export const adminKey = "sk-admin-c0de";
/** Allows one request a minute. */
export const slowKey = "sk-slow-5512";

export const entryOf = (id: string, key: string, more: Partial<KeyEntry> = {}): KeyEntry => ({
  id,
  sha256: createHash("sha256").update(key).digest("hex"),
  ...more,
});

export const allKeys: readonly KeyEntry[] = [
  entryOf("team", teamKey),
  entryOf("scoped", scopedKey, { models: [scopedModel] }),
  entryOf("expired", expiredKey, { expires: "2020-01-01T00:00:00Z" }),
  entryOf("operator", adminKey, { admin: true }),
  entryOf("slow", slowKey, { requestsPerMinute: 1 }),
];
