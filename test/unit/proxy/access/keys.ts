/** Keys for tests, as the proxy's configuration holds them. */
import { createHash } from "node:crypto";
import type { ProxyKey } from "../../../../infra/spec/proxy-config.ts";

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The key itself is `secret-of-ID` unless it is given. */
export const proxyKey = (id: string, more: Partial<ProxyKey> = {}, secret = `secret-of-${id}`): ProxyKey => ({
  id,
  sha256: sha256(secret),
  models: ["*"],
  admin: false,
  ...more,
});
