import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageReader } from "../../../bench/wire/message-reader.ts";

function readIn(pieces: readonly Buffer[]) {
  const messages: { head: string; body: string }[] = [];
  let head = "";
  let body = "";
  const reader = new MessageReader({
    head(text) {
      head = text;
      body = "";
      return true;
    },
    data(bytes) {
      body += bytes.toString("latin1");
    },
    end() {
      messages.push({ head, body });
    },
  });
  for (const piece of pieces) reader.push(piece);
  return messages;
}

const byLength = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello\r\n\r\nyo";
const byChunks =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nc\r\n to\r\n you\r\n\r\r\n0\r\nx: y\r\n\r\n";
const empty = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

test("answers by length and by chunks are read one after the other, wherever the network cuts them", () => {
  const bytes = Buffer.from(byLength + byChunks + empty + byLength, "latin1");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 }), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      expect(readIn(pieces).map(({ body }) => body)).toEqual([
        "hello\r\n\r\nyo",
        "hello to\r\n you\r\n\r",
        "",
        "hello\r\n\r\nyo",
      ]);
    }),
  );
});

test("an answer that is not complete is not reported", () => {
  expect(readIn([Buffer.from(byLength.slice(0, -1))])).toEqual([]);
  expect(readIn([Buffer.from(byChunks.slice(0, -2))])).toEqual([]);
});
