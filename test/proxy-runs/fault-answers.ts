/** What a failing upstream writes: whole answers and parts of them, framed in every way. */
import type net from "node:net";
import type { Random } from "./random.ts";

/** One request that has reached the upstream. */
export interface Exchange {
  readonly socket: net.Socket;
  readonly stream: boolean;
  /** The body that a healthy upstream would send. */
  readonly body: string;
  /** The same in the pieces in which it would be made. */
  readonly pieces: readonly string[];
  readonly random: Random;
  /** The request is never answered: what becomes of its connection is watched. */
  readonly stall: () => void;
  /** The upstream dies, and is back a moment later. */
  readonly die: () => void;
}

type Framing = "length" | "chunked" | "close";

export function head({ stream, body }: Exchange, framing: Framing, more = ""): string {
  const type = stream ? "text/event-stream" : "application/json";
  const frame = {
    length: `Content-Length: ${body.length}\r\n`,
    chunked: "Transfer-Encoding: chunked\r\n",
    close: "Connection: close\r\n",
  };
  return `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${frame[framing]}${more}\r\n`;
}

export const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
export const chunked = (exchange: Exchange, end = "0\r\n\r\n") =>
  head(exchange, "chunked") + exchange.pieces.map(chunk).join("") + end;
export const whole = (exchange: Exchange, more = "") => head(exchange, "length", more) + exchange.body;
export const usual = (exchange: Exchange) => (exchange.random.below(2) === 0 ? whole(exchange) : chunked(exchange));
export const half = (text: string, random: Random) => text.slice(0, 1 + random.below(text.length - 1));

export const write = (make: (exchange: Exchange) => string) => (exchange: Exchange) =>
  void exchange.socket.write(make(exchange), "latin1");
/** Writes, and ends the connection once that is with the kernel. */
export const writeThen =
  (make: (exchange: Exchange) => string, end: (socket: net.Socket) => void) => (exchange: Exchange) =>
    void exchange.socket.write(make(exchange), "latin1", () => setImmediate(() => end(exchange.socket)));
export const finish = (socket: net.Socket) => socket.end();

/** Head and a part of the body, never all of it. */
export const someOf = (framing: "length" | "chunked") => (exchange: Exchange) => {
  if (framing === "length") return head(exchange, framing) + half(exchange.body, exchange.random);
  return half(chunked(exchange, "").slice(head(exchange, framing).length), exchange.random).replace(
    /^/,
    head(exchange, framing),
  );
};

export const thenStall = (make: (exchange: Exchange) => string) => (exchange: Exchange) => {
  exchange.socket.write(make(exchange), "latin1");
  exchange.stall();
};

/** The head byte by byte, the rest in small pieces: each turn of the event loop brings a little. */
export function trickle(socket: net.Socket, text: string, at = 0): void {
  if (at >= text.length || socket.destroyed) return;
  const size = at < 80 ? 1 : 9;
  socket.write(text.slice(at, at + size), "latin1");
  setImmediate(trickle, socket, text, at + size);
}

export function fields(count: number, size: number): string {
  return Array.from({ length: count }, (_, index) => `X-Field-${index}: ${"v".repeat(size)}\r\n`).join("");
}
