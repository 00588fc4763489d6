/** Requests whose end two readers could see in different places. */
import { chatBody, chatWith, type HostileCase, inChunks, refused, sized, smuggled, theChat } from "./hostile-case.ts";

const chunkedBody = inChunks(chatBody) + smuggled;
const length = sized(chatBody);
const shortLength = "Content-Length: 4";

const bothFramings: HostileCase[] = (
  [
    ["a length, then chunks", `${length}\r\nTransfer-Encoding: chunked`],
    ["chunks, then a length", `Transfer-Encoding: chunked\r\n${length}`],
    ["chunks, then a short length", `Transfer-Encoding: chunked\r\n${shortLength}`],
    ["a length of 0, then chunks", "Content-Length: 0\r\nTransfer-Encoding: chunked"],
    ["a length between two codings", `Transfer-Encoding: chunked\r\n${length}\r\nTransfer-Encoding: chunked`],
  ] as const
).map(([name, lines]) => ({ name: `both framings: ${name}`, bytes: chatWith(lines, chunkedBody), answers: refused }));

/** Spelled so that one reader sees chunks and another does not; each comes with a length to fall back on. */
const codings: HostileCase[] = [
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunked, chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: chunked;q=1",
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\x0c",
  "Transfer-Encoding:\r\n chunked",
  "Transfer-Encoding:\r\n\tchunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  " Transfer-Encoding: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  "X: y\r\rTransfer-Encoding: chunked",
  "Transfer-Encoding: chunk\0ed",
  "Transfer-Encoding: ch\xfcnked",
  "Transfer-Encoding:",
].map((line) => ({
  name: `a coding as ${JSON.stringify(line)}`,
  bytes: chatWith(`${line}\r\n${length}`, chunkedBody),
  answers: refused,
}));

const lengths: HostileCase[] = [
  "Content-Length: 27\r\nContent-Length: 4",
  "Content-Length: 4\r\nContent-Length: 27",
  "Content-Length: 27, 4",
  "Content-Length: 27\r\nContent-Length: 27",
  "Content-Length: +27",
  "Content-Length: -27",
  "Content-Length: 2 7",
  "Content-Length: 0x1b",
  "Content-Length: 2.7e1",
  "Content-Length: 27;",
  "Content-Length: 27\x0b",
  "Content-Length:",
  "Content-Length: 99999999999999999999999",
  "Content-Length : 27",
  "Content-Length:\r\n 27",
  "Content-Length: 4\n27",
].map((line) => ({
  name: `a length as ${JSON.stringify(line)}`,
  bytes: chatWith(line, chatBody + smuggled),
  answers: refused,
}));

const plainly: HostileCase[] = (
  [
    ["spaces around the length", "Content-Length: \t 27 \t", chatBody],
    ["leading zeros in the length", "Content-Length: 0027", chatBody],
    ["chunked in capitals", "Transfer-Encoding: CHUNKED", inChunks(chatBody)],
    ["a tab before chunked", "Transfer-Encoding:\tchunked", inChunks(chatBody)],
    ["a field that only looks like a coding", `Transfer_Encoding: chunked\r\n${length}`, chatBody],
    ["a field that only looks like a length", `Content_Length: 4\r\n${length}`, chatBody],
    [
      "chunks of one byte",
      "Transfer-Encoding: chunked",
      `${[...chatBody].map((byte) => `1\r\n${byte}\r\n`).join("")}0\r\n\r\n`,
    ],
    [
      "an extension of a chunk",
      "Transfer-Encoding: chunked",
      `1b;name=value;other="quoted"\r\n${chatBody}\r\n0;last\r\n\r\n`,
    ],
    ["leading zeros in a chunk's size", "Transfer-Encoding: chunked", `0000001b\r\n${chatBody}\r\n000\r\n\r\n`],
    [
      "trailers",
      "Transfer-Encoding: chunked\r\nTrailer: x-a",
      `1b\r\n${chatBody}\r\n0\r\nX-A: 1\r\nHost: evil\r\n\r\n`,
    ],
  ] as const
).map(([name, lines, body]) => ({ name, bytes: chatWith(lines, body), answers: [200], upstream: [theChat] }));

const chunks: HostileCase[] = (
  [
    ["a size beyond 64 bits", `fffffffffffffffff\r\n${chatBody}`],
    ["a size that wraps to 27", `1000000000000001b\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a negative size", `-1b\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a size with 0x", `0x1b\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a space before the size", ` 1b\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a size that ends in a line feed", `1b\n${chatBody}\r\n0\r\n\r\n`],
    ["a chunk that ends in a line feed", `1b\r\n${chatBody}\n0\r\n\r\n`],
    ["a chunk longer than its size", `5\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a line feed in an extension", `1b;a\nb\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a carriage return in an extension", `1b;a\rb\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a NUL in the size", `1\0b\r\n${chatBody}\r\n0\r\n\r\n`],
    ["no size", `\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a megabyte of extension", `1b;${"x".repeat(1_048_576)}\r\n${chatBody}\r\n0\r\n\r\n`],
    ["a million extensions", `${`1;${"x".repeat(1_000)}\r\n \r\n`.repeat(1_000)}0\r\n\r\n`],
    ["a megabyte of trailers", `1b\r\n${chatBody}\r\n0\r\n${`X-A: ${"y".repeat(1_000)}\r\n`.repeat(1_000)}\r\n`],
    ["a trailer that is folded", `1b\r\n${chatBody}\r\n0\r\nX: a\r\n b\r\n\r\n`],
  ] as const
).map(([name, body]) => ({
  name: `chunks: ${name}`,
  bytes: chatWith("Transfer-Encoding: chunked", body),
  answers: [[400, 408, 413, 431, 0]],
}));

export const framingCases: readonly HostileCase[] = [...bothFramings, ...codings, ...lengths, ...plainly, ...chunks];
