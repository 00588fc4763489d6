/** Where clients put a key. */
import type { IncomingHttpHeaders } from "node:http";

/** Header fields that carry a key of ours; they end here and never reach LM Studio. */
export const keyHeaders: ReadonlySet<string> = new Set(["authorization", "x-api-key"]);

/**
 * Undefined when a request has none. The name in front of a Basic password is not looked at: a browser insists on asking for one.
 * @param basic whether a browser's own login box may have sent it
 */
export function presentedKey(headers: IncomingHttpHeaders, basic: boolean): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const bearer = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (bearer !== undefined) return bearer;
  }
  const plain = headers["x-api-key"];
  if (typeof plain === "string" && plain !== "") return plain;
  return basic && authorization !== undefined ? passwordOf(authorization) : undefined;
}

function passwordOf(authorization: string): string | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 || colon === pair.length - 1 ? undefined : pair.slice(colon + 1);
}
