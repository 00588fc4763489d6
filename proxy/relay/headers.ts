/** Which header fields travel from one side of the proxy to the other. Every path, both ways, goes through here. */
import type { Dispatcher } from "undici";

/** Fields about one connection, not about the message (RFC 9110 section 7.6.1), and what undici or node:http set themselves. */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** `host` names the proxy; `expect` has been answered already. */
const requestOnly: ReadonlySet<string> = new Set(["host", "expect"]);

/** Flat name-value list as `IncomingMessage.rawHeaders` has it; order, case and duplicates stay. */
export type FlatHeaders = readonly string[];

export function requestHeaders(raw: FlatHeaders, without: ReadonlySet<string>): string[] {
  return endToEnd(raw, (name) => requestOnly.has(name) || without.has(name));
}

/** Who may read an answer from a web page is the proxy's to say, never LM Studio's. */
export function responseHeaders(raw: FlatHeaders): string[] {
  return endToEnd(raw, (name) => name.startsWith("access-control-"));
}

function endToEnd(raw: FlatHeaders, leaveOut: (name: string) => boolean): string[] {
  const named = namedInConnection(raw);
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !named?.has(lower) && !leaveOut(lower)) kept.push(name, raw[i + 1] as string);
  }
  return kept;
}

/** A sender may declare more fields as hop-by-hop; framing stays ours even when it is named there. */
function namedInConnection(raw: FlatHeaders): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if ((raw[i] as string).toLowerCase() !== "connection") continue;
    named ??= new Set();
    for (const token of (raw[i + 1] as string).split(",")) named.add(token.trim().toLowerCase());
  }
  named?.delete("content-length");
  return named;
}

export function without(headers: FlatHeaders, ...names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!names.includes(headers[i]?.toLowerCase() ?? "")) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/** Lower case; empty without such a field. */
export function fieldOf(headers: FlatHeaders, name: string): string {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === name) return headers[i + 1]?.toLowerCase() ?? "";
  }
  return "";
}

/** undici hands out the raw fields as buffers; header values are Latin-1 on the wire. */
export function rawFields(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((field) => (typeof field === "string" ? field : field.toString("latin1")));
}

/** Longest value of a header that lists names. */
const headerLength = 1_000;

/** Names come from a request: only what a header can carry is printed. */
export function headerList(names: readonly string[]): string {
  return names
    .join(", ")
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, headerLength);
}
