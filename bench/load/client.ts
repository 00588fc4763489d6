/**
 * Two kinds of load. The bars come from figures that were measured with the ordinary one, and so are they; it costs more than nginx does, and hides a
 * part of the difference. The light one shows what each peer can do.
 */
import { LightClient } from "./light-client.ts";
import { OrdinaryClient } from "./ordinary-client.ts";
import type { LoadRequest } from "./request.ts";

/** `ordinary`: Node's own HTTP client and server. `light`: prepared bytes on sockets, so that the peer and not the load side is the limit where that is possible. */
export type LoadKind = "ordinary" | "light";

export interface Answer {
  readonly status: number;
}

/** One client with one kept connection. */
export interface Client {
  /** Resolves when the answer is complete; rejects when the connection breaks before that. `onData` sees the body as it comes. */
  send(request: LoadRequest, onData?: (bytes: Buffer) => void): Promise<Answer>;
  /** It goes away, in the middle of an answer if there is one. */
  destroy(): void;
}

export function createClient(kind: LoadKind, port: number): Client {
  return kind === "ordinary" ? new OrdinaryClient(port) : new LightClient(port);
}
