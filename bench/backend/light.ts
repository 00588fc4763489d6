/** The stand-in with as little work as can be, so that the peers and not the stand-in are compared. */
import net from "node:net";
import { microseconds } from "../wire/clock.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { jsonType, lastEvents, streamFields, wholeAnswer } from "./answers.ts";
import { type Serving, writeTokens } from "./serving.ts";

const notFound = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const streamHead = `HTTP/1.1 200 OK\r\ncontent-type: ${streamFields["content-type"]}\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const streamEnd = `${chunk(lastEvents)}0\r\n\r\n`;

function onTheWire(answer: string | undefined): string {
  if (answer === undefined) return notFound;
  return `HTTP/1.1 200 OK\r\ncontent-type: ${jsonType}\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`;
}

export function lightServer(serving: Serving): net.Server {
  return net.createServer({ noDelay: true }, (socket) => {
    let method = "";
    let path = "";
    let id = "";
    let running = false;
    const end = (last: string) => {
      running = false;
      socket.write(last, "latin1");
    };
    const reader = new MessageReader({
      head(head) {
        [method = "", path = ""] = head.slice(0, head.indexOf("\r\n")).split(" ");
        id = serving.mode.watch ? (/\r\nx-bench-id: *([\w-]+)/i.exec(head)?.[1] ?? "") : "";
        return method !== "GET";
      },
      data() {},
      end() {
        const { mode } = serving;
        running = true;
        if (id !== "") serving.tell({ arrived: id, at: microseconds() });
        const whole = () => end(onTheWire(wholeAnswer(method, path)));
        if (mode.tokens === 0 || method === "GET") whole();
        else if (mode.tokens < 0) serving.waiting.set(id, whole);
        else {
          socket.write(streamHead, "latin1");
          writeTokens(socket, mode, chunk, () => end(streamEnd));
        }
      },
    });
    socket.on("data", (bytes) => reader.push(bytes as Buffer));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (id === "" || !running) return;
      serving.waiting.delete(id);
      serving.tell({ closed: id, at: microseconds() });
    });
  });
}
