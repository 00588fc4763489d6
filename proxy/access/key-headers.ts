/** Which of a client's header fields end at the proxy. */
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { thinkingHeader } from "../thinking/wish.ts";
import { instanceHeader } from "../upstream/instances.ts";
import { keyHeaders } from "./presented-key.ts";

/** Framing is made anew, the switches are ours, and a compressed answer could not be read. */
const ownHeaders: ReadonlySet<string> = new Set(["content-length", thinkingHeader, instanceHeader, "accept-encoding"]);
const ownHeadersAndKeys: ReadonlySet<string> = new Set([...ownHeaders, ...keyHeaders]);
const noHeaders: ReadonlySet<string> = new Set();

/** `reads`: the proxy looks into body or answer. */
export function leftOutHeaders(config: ProxyConfig, reads: boolean): ReadonlySet<string> {
  if (asksForKeys(config)) return reads ? ownHeadersAndKeys : keyHeaders;
  return reads ? ownHeaders : noHeaders;
}

/** Where nobody is asked for a key, a client's own may be meant for LM Studio. */
export function asksForKeys({ keys, keysFile }: ProxyConfig): boolean {
  return keys.length > 0 || keysFile !== undefined;
}
