/** LM Studio's stand-in for load: a process of its own that answers as its parent last told it. Started by `stand-in.ts`. */
import net from "node:net";
import { microseconds } from "../wire/clock.ts";
import { MessageReader } from "../wire/message-reader.ts";
import { streamEnd, streamHead, token, wholeAnswer } from "./answers.ts";
import { atOnce, type FromBackend, type ToBackend } from "./control.ts";

let mode = atOnce;
/** Ends a request that is never answered by itself, by its id. */
const waiting = new Map<string, () => void>();
const tell = (message: FromBackend) => process.send?.(message);

const server = net.createServer({ noDelay: true }, (socket) => {
  let method = "";
  let path = "";
  let id = "";
  let running = false;
  const reader = new MessageReader({
    head(head) {
      const [first = "", second = ""] = head.slice(0, head.indexOf("\r\n")).split(" ");
      method = first;
      path = second;
      id = mode.watch ? (/\r\nx-bench-id: *([\w-]+)/i.exec(head)?.[1] ?? "") : "";
      return method !== "GET";
    },
    data() {},
    end() {
      if (id !== "") tell({ arrived: id, at: microseconds() });
      if (mode.tokens === 0 || method === "GET") {
        socket.write(wholeAnswer(method, path), "latin1");
        return;
      }
      running = true;
      const done = () => {
        running = false;
      };
      if (mode.tokens > 0) {
        stream(socket, mode.tokens, mode.burst, mode.gapMs, done);
        return;
      }
      const answer = wholeAnswer(method, path);
      waiting.set(id, () => {
        done();
        socket.write(answer, "latin1");
      });
    },
  });
  socket.on("data", (bytes) => reader.push(bytes as Buffer));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    if (id === "" || !running) return;
    waiting.delete(id);
    tell({ closed: id, at: microseconds() });
  });
});

/** Each token is a write of its own, as a server that flushes each one does. */
function stream(socket: net.Socket, tokens: number, burst: number, gapMs: number, done: () => void): void {
  let written = 0;
  socket.write(streamHead, "latin1");
  const next = () => {
    if (socket.destroyed) return;
    if (written === tokens) {
      done();
      socket.write(streamEnd, "latin1");
      return;
    }
    written++;
    const room = socket.write(token(), "latin1");
    if (gapMs > 0 && written >= burst) setTimeout(next, gapMs);
    else if (room) setImmediate(next);
    else socket.once("drain", next);
  };
  next();
}

process.on("message", (message: ToBackend) => {
  if ("finish" in message) {
    waiting.get(message.finish)?.();
    waiting.delete(message.finish);
    return;
  }
  mode = message.mode;
  tell({ taken: true });
});
process.on("disconnect", () => process.exit(0));
server.listen(0, "127.0.0.1", () => tell({ port: (server.address() as net.AddressInfo).port }));
