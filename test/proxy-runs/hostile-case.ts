/** What a hostile case is: bytes on a raw socket, and everything that must hold afterwards. */
import type { Adversary, Heard } from "./adversary.ts";
import type { WireClient } from "./client.ts";

/** Status of an answer, or of any of several; 0 is a connection that closes without one. */
export type Expected = number | readonly number[];

export interface Reached {
  readonly target: string;
  readonly method?: string;
  readonly body?: string;
}

export interface HostileCase {
  readonly name: string;
  readonly bytes?: string | Buffer;
  /** Takes the place of sending `bytes` and the end. Returns what is wrong, or nothing. */
  readonly play?: (stage: Stage) => Promise<string | undefined>;
  readonly answers: readonly Expected[];
  /** The client ends its side right behind `bytes`; otherwise it does so once it has as many answers as it expects. */
  readonly ends?: true;
  /** Exactly what arrives upstream, in order; nothing when it is absent. */
  readonly upstream?: readonly Reached[];
  /** Nothing is answered upstream in these; how many requests arrive there is part of the case. */
  readonly answer?: (heard: Heard, socket: import("node:net").Socket) => void;
  /** To the proxy with keys instead of the open one. */
  readonly keyed?: true;
}

export interface Stage {
  readonly client: WireClient;
  readonly upstream: Adversary;
  readonly heard: readonly Heard[];
}

export const chatPath = "/v1/chat/completions";
export const chatBody = '{"model":"m","messages":[]}';
export const smuggled = "GET /v1/models/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
export const theChat: Reached = { target: chatPath, method: "POST", body: chatBody };

/** A chat request with these lines in its head. */
export function chatWith(lines: string, body = chatBody, path = chatPath): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${lines}\r\n\r\n${body}`;
}

export const sized = (body: string) => `Content-Length: ${Buffer.byteLength(body)}`;
export const inChunks = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

export const refused: readonly Expected[] = [[400, 431, 501, 505]];
