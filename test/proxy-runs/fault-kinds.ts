/** How an upstream can fail, kind by kind, and what a client may see of it. */
import type net from "node:net";
import { jsonAnswer, resetSocket as reset } from "./adversary.ts";
import {
  chunk,
  chunked,
  type Exchange,
  fields,
  finish,
  head,
  someOf,
  thenStall,
  trickle,
  usual,
  whole,
  write,
  writeThen,
} from "./fault-answers.ts";
import type { Random } from "./random.ts";

/** `failed` is an error status, a failure event of a stream, or the broken connection of a document. */
export type End = "complete" | "status" | "failed" | "gave-up";

export interface Variant {
  readonly name: string;
  readonly play: (exchange: Exchange) => void;
  readonly allowed: readonly End[];
  /** Answered as soon as its head is there, with a body of this many bytes on its way. */
  readonly earlyOf?: number;
  /** The client goes away after so many milliseconds. */
  readonly patience?: number;
  readonly model?: string;
  /** The answer is not the usual one. */
  readonly answer?: { readonly status: number; readonly body: string };
  /** The answer is the usual one with this in front. */
  readonly prefix?: string;
  /** The whole answer never comes. */
  readonly never?: true;
}

export interface FaultKind {
  readonly name: string;
  readonly variants: readonly Variant[];
  /** Share of the requests that have to be answered whole, where nothing but the moment is against them. */
  readonly answered?: number;
  readonly catalog?: (socket: net.Socket, random: Random) => void;
}

const failing = (name: string, play: Variant["play"], allowed: readonly End[] = ["failed"]): Variant => ({
  name,
  play,
  allowed,
  never: true,
});
const serving = (name: string, play: Variant["play"], more: Partial<Variant> = {}): Variant => ({
  name,
  play,
  allowed: ["complete"],
  ...more,
});

const tooLarge = JSON.stringify({
  error: { message: "too large", type: "invalid_request_error", code: "too_large", param: null },
});
const early = { earlyOf: 300_000, answer: { status: 413, body: tooLarge } };
const earlyAnswer = jsonAnswer(tooLarge, "413 Payload Too Large", "Connection: close\r\n");
const unexpected = '{"error":"Unexpected endpoint or method. (POST /x)"}';
const described = '{"error":{"message":"The model crashed","type":"internal","code":"x"}}';

/** Requests that come while the upstream dies somewhere else. */
const alive = (count: number) =>
  Array.from({ length: count }, () => serving("lives", write(usual), { allowed: ["complete", "failed"] }));

const cutLater = (exchange: Exchange) =>
  void exchange.socket.write(someOf("length")(exchange), "latin1", () =>
    setTimeout(() => exchange.socket.destroy(), 10),
  );

const givingUp: readonly Variant[] = [
  { ...failing("before the head", ({ stall }) => stall(), ["gave-up"]), patience: 40 },
  {
    ...failing(
      "behind the head",
      thenStall((x) => head(x, "chunked")),
      ["gave-up"],
    ),
    patience: 40,
  },
  { ...failing("in the body", thenStall(someOf("chunked")), ["gave-up"]), patience: 40 },
];

export const faultKinds: readonly FaultKind[] = [
  {
    name: "catalog",
    catalog: (socket, random) => {
      const ways = [
        () => reset(socket),
        () => socket.end(),
        () => void socket.write("nonsense\r\n\r\n"),
        () => void socket.write(jsonAnswer('{"models":7}')),
        () => void socket.write(jsonAnswer('{"models":[null,{"loaded_instances":[7]}]}')),
        () => void socket.write(jsonAnswer("[")),
        () => {},
      ];
      random.pick(ways)();
    },
    variants: [serving("a model that is not known", write(usual), { model: "unlisted" })],
  },
  {
    name: "reset-before-head",
    variants: [
      failing("reset", ({ socket }) => reset(socket), ["status"]),
      failing("closed", ({ socket }) => void socket.end(), ["status"]),
      failing(
        "reset in the head",
        writeThen(() => "HTTP/1.1 200 OK\r\nContent-Ty", reset),
        ["status"],
      ),
      failing(
        "closed in the head",
        writeThen(() => "HTTP/1.1 200 OK\r\nContent-Ty", finish),
        ["status"],
      ),
    ],
  },
  {
    name: "reset-mid-answer",
    variants: [
      failing("of a known length", writeThen(someOf("length"), reset)),
      failing("in chunks", writeThen(someOf("chunked"), reset)),
      failing(
        "behind the head",
        writeThen((exchange) => head(exchange, "chunked"), reset),
      ),
    ],
  },
  {
    name: "stall",
    variants: [
      ...Array.from({ length: 4 }, () => givingUp).flat(),
      serving("wakes up behind heartbeats", (x) => void setTimeout(() => write(usual)(x), 1_000)),
    ],
  },
  {
    name: "truncate",
    variants: [
      failing("shorter than its length", writeThen(someOf("length"), finish)),
      failing(
        "chunks without an end",
        writeThen((exchange) => chunked(exchange, ""), finish),
      ),
      failing("in a chunk", writeThen(someOf("chunked"), finish)),
      failing(
        "behind the head",
        writeThen((exchange) => head(exchange, "length"), finish),
      ),
      serving(
        "no framing but the end",
        writeThen((exchange) => head(exchange, "close") + exchange.body, finish),
      ),
    ],
  },
  {
    name: "garbage",
    variants: [
      failing(
        "no HTTP",
        write(({ random }) => random.bytes(200).toString("latin1").replace(/^/, "\x16\x03")),
        ["status"],
      ),
      failing(
        "a status line that is none",
        write(() => "HTTP/1.1 two hundred\r\n\r\n"),
        ["status"],
      ),
      failing(
        "another protocol",
        write(() => "SSH-2.0-OpenSSH_9.6\r\n"),
        ["status"],
      ),
      failing(
        "a NUL in a field",
        write((exchange) => whole(exchange, "X-A: a\0b\r\n")),
        ["status"],
      ),
      failing(
        "a negative length",
        write(() => "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
        ["status"],
      ),
      failing(
        "two lengths",
        write((exchange) => whole(exchange, "Content-Length: 3\r\n")),
        ["status"],
      ),
      failing(
        "a chunk size that is none",
        write((exchange) => chunked(exchange, "zz\r\nabc\r\n")),
      ),
      failing(
        "a chunk size beyond all numbers",
        write((exchange) => chunked(exchange, `${"f".repeat(20)}\r\nabc`)),
      ),
      failing(
        "a chunk longer than its size",
        write((exchange) => `${head(exchange, "chunked")}2\r\nabcdef\r\n0\r\n\r\n`),
      ),
      serving(
        "JSON that is none",
        write(() => jsonAnswer('{"half":')),
        // Where events were asked for, it cannot become any.
        { answer: { status: 200, body: '{"half":' }, allowed: ["complete", "status"] },
      ),
      serving(
        "bytes in front of the events",
        write((x) => `${head(x, "chunked")}${chunk(`: \xff\xfe\x00\x01\n\n${x.body}`)}0\r\n\r\n`),
        {
          prefix: ": \xff\xfe\x00\x01\n\n",
        },
      ),
    ],
  },
  {
    name: "idle-close",
    answered: 0.999,
    variants: [
      serving("right behind the answer", writeThen(usual, finish), { allowed: ["complete", "failed"] }),
      serving(
        "a moment later",
        (x) => void x.socket.write(usual(x), () => setTimeout(finish, 3 * x.random.next(), x.socket)),
        {
          allowed: ["complete", "failed"],
        },
      ),
      serving("after many", write(usual), { allowed: ["complete", "failed"] }),
    ],
  },
  {
    name: "early-answer",
    variants: [
      serving(
        "reads on",
        write(() => earlyAnswer),
        // For Codex a refusal is told in words that it takes for one.
        { ...early, allowed: ["complete", "status"] },
      ),
      serving(
        "closes",
        writeThen(() => earlyAnswer, finish),
        { ...early, allowed: ["complete", "status"] },
      ),
      serving(
        "resets",
        writeThen(() => earlyAnswer, reset),
        { ...early, allowed: ["complete", "status"] },
      ),
      serving("with success", write(whole), { earlyOf: 300_000 }),
    ],
  },
  {
    name: "dies-and-returns",
    variants: [
      ...alive(20),
      failing("dies", ({ socket, die }) => {
        reset(socket);
        die();
      }),
      ...Array.from({ length: 8 }, () => failing("is cut while it is slow", cutLater)),
      ...alive(70),
    ],
  },
  {
    name: "error-in-success",
    variants: [
      failing(
        "a sentence",
        write(() => jsonAnswer(unexpected)),
        ["status"],
      ),
      failing(
        "an object",
        write(() => jsonAnswer(described)),
        ["status"],
      ),
      failing(
        "in pieces",
        ({ socket }) => {
          socket.write(
            `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${described.length}\r\n\r\n{ "er`.replace(
              "{ ",
              "{",
            ),
          );
          setImmediate(() => socket.write(described.slice(4)));
        },
        ["status"],
      ),
    ],
  },
  {
    name: "trickle",
    variants: [
      serving("of a known length", (x) => trickle(x.socket, whole(x))),
      serving("in chunks", (x) => trickle(x.socket, chunked(x))),
    ],
  },
  {
    name: "huge-head",
    variants: [
      serving(
        "a hundred fields",
        write((x) => whole(x, fields(100, 60))),
      ),
      serving(
        "a long field",
        write((x) => whole(x, fields(1, 8_000))),
      ),
      failing(
        "a field of 64 KB",
        write((x) => whole(x, fields(1, 65_536))),
        ["status"],
      ),
      failing(
        "ten thousand fields",
        write((x) => whole(x, fields(10_000, 20))),
        ["status"],
      ),
    ],
  },
  {
    name: "informational",
    variants: [
      // undici takes a 100 that it did not ask for as a broken answer.
      serving(
        "100",
        write((x) => `HTTP/1.1 100 Continue\r\n\r\n${usual(x)}`),
        { allowed: ["complete", "status"] },
      ),
      serving(
        "102 and 103, many times",
        write(
          (x) => `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n`.repeat(5) + usual(x),
        ),
      ),
      failing(
        "101",
        write((x) => `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${usual(x)}`),
        ["status"],
      ),
      failing(
        "103 and then nothing",
        writeThen(() => "HTTP/1.1 103 Early Hints\r\n\r\n", finish),
        ["status"],
      ),
    ],
  },
  {
    name: "trailers",
    variants: [
      serving(
        "two",
        write((x) => chunked(x, "0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n")),
      ),
      serving(
        "that would change the framing",
        write((x) => chunked(x, "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")),
        {
          allowed: ["complete", "failed"],
        },
      ),
      failing(
        "that never end",
        writeThen((x) => chunked(x, "0\r\nX-One: 1\r\n"), finish),
      ),
    ],
  },
  {
    name: "excess",
    variants: [
      serving(
        "another answer behind it",
        write((x) => whole(x) + jsonAnswer('{"id":"of nobody"}')),
        { allowed: ["complete", "failed"] },
      ),
      serving(
        "bytes behind it",
        write((x) => `${whole(x)}more and more`),
        { allowed: ["complete", "failed"] },
      ),
      serving(
        "chunks behind the last",
        write((x) => chunked(x) + chunk("of nobody")),
        { allowed: ["complete", "failed"] },
      ),
      serving("nothing", write(usual), { allowed: ["complete", "failed"] }),
    ],
  },
];
