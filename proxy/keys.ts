/** Who may: keys are known by their SHA-256 alone and compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import { Fault } from "./errors/fault.ts";

export interface Caller {
  /** Id of the key, for the log. */
  readonly id: string;
  readonly mayUse: (model: string) => boolean;
  /** Every model is allowed, so that a request need not be read to find the one it names. */
  readonly unrestricted: boolean;
}

export type Gatekeeper = (headers: IncomingHttpHeaders) => Caller | Fault;

const anyone: Caller = { id: "anonymous", mayUse: () => true, unrestricted: true };
export const localAdmin: Caller = { id: "admin-socket", mayUse: () => true, unrestricted: true };

/** Header fields that carry a key of ours; they end here and never reach LM Studio. */
export const keyHeaders: ReadonlySet<string> = new Set(["authorization", "x-api-key"]);

export function gatekeeper(keys: ProxyConfig["keys"]): Gatekeeper {
  if (keys.length === 0) return () => anyone;
  const known = keys.map(({ id, sha256, models }) => {
    const all = models.includes("*");
    const caller: Caller = { id, mayUse: (model) => all || models.includes(model), unrestricted: all };
    return { digest: Buffer.from(sha256, "hex"), caller };
  });
  return (headers) => {
    const presented = presentedKey(headers);
    if (presented === undefined) {
      return new Fault(
        401,
        "missing_api_key",
        'This endpoint needs a key: send it as "Authorization: Bearer KEY" or "x-api-key: KEY".',
      );
    }
    const digest = createHash("sha256").update(presented).digest();
    // Every key is compared, found or not, so that the time says nothing about the position.
    let found: Caller | undefined;
    for (const { digest: candidate, caller } of known) if (timingSafeEqual(candidate, digest)) found = caller;
    return found ?? new Fault(401, "invalid_api_key", "This key is not known here. Check it, or ask for a new one.");
  };
}

export function modelFault(caller: Caller, model: string): Fault | undefined {
  if (caller.mayUse(model)) return undefined;
  return new Fault(403, "model_not_allowed", `The key "${caller.id}" may not use the model "${model}".`);
}

function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? "")?.[1];
  const plain = headers["x-api-key"];
  return bearer ?? (typeof plain === "string" && plain !== "" ? plain : undefined);
}
