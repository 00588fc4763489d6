/** One request and its answer, over redirects. */
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { errno, HostFailure } from "../failure.ts";

export interface Arrival {
  readonly response: IncomingMessage;
  /** Null for a whole body; else why it broke off. */
  readonly ended: Promise<Error | null>;
  /** Everything that came and will come, in order. */
  pour(sink: (piece: Buffer) => void): void;
}

export interface Ask {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to the host of `url` only, never to where that host redirects. */
  readonly bearer?: string | undefined;
  /** A connection that brings nothing for this long is cut. */
  readonly idleMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Redirects beyond the first host are an answer, not followed. */
  readonly sameHost?: boolean;
}

const hopLimit = 10;

/**
 * Not `fetch`, and listening from the first moment: a stream throws away what it holds when its connection breaks, and on a bad network
 * the small pieces would never add up.
 */
export async function exchange(url: string, ask: Ask = {}): Promise<Arrival> {
  const { origin } = new URL(url);
  let address = url;
  for (let hops = 0; hops < hopLimit; hops++) {
    const own = new URL(address).origin === origin;
    const headers = {
      "accept-encoding": "identity",
      "user-agent": "lmstack",
      ...ask.headers,
      ...(own && ask.bearer !== undefined ? { authorization: `Bearer ${ask.bearer}` } : {}),
    };
    const arrival = await send(address, ask, headers);
    const { location } = arrival.response.headers;
    const status = arrival.response.statusCode ?? 0;
    if (status < 300 || status >= 400 || location === undefined) return arrival;
    const next = new URL(location, address);
    if (ask.sameHost === true && next.origin !== origin) return arrival;
    arrival.response.destroy();
    if (!/^https?:$/.test(next.protocol))
      throw new HostFailure("fetch_failed", `${shown(url)} redirects to ${next.protocol}`, "correct the address");
    address = next.href;
  }
  throw new HostFailure("fetch_failed", `${shown(url)} redirects without end`, "correct the address in the spec");
}

function send(url: string, ask: Ask, headers: Record<string, string>): Promise<Arrival> {
  const { method = "GET", idleMs: timeout = 30_000, signal } = ask;
  return new Promise((resolve, reject) => {
    const client = url.startsWith("https:") ? https : http;
    const request = client.request(url, { method, headers, timeout, signal, agent: false }, (response) =>
      resolve(arrive(response)),
    );
    request.on("timeout", () => request.destroy(new Error("no data for a while")));
    request.on("error", reject);
    request.end();
  });
}

function arrive(response: IncomingMessage): Arrival {
  const early: Buffer[] = [];
  let take = (piece: Buffer): void => {
    early.push(piece);
  };
  response.on("data", (piece: Buffer) => take(piece));
  const ended = new Promise<Error | null>((resolve) => {
    response.on("error", resolve);
    response.on("end", () => resolve(null));
    response.on("close", () => resolve(new Error("the connection was closed")));
  });
  const pour = (sink: (piece: Buffer) => void) => {
    for (const piece of early.splice(0)) sink(piece);
    take = sink;
  };
  return { response, ended, pour };
}

/** Credentials and queries of an address are not for logs. */
export function shown(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "the address";
  }
}

export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || (errno(cause) ?? cause.name) : String(cause);
}
