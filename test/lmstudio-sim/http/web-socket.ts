/** The SDK's door on the same port: whoever knows the paths can manage models. Only the greeting of it is played here. */
import { createHash } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

const paths = ["llm", "embedding", "system", "diagnostics", "files", "repository", "plugins", "runtime"];

/** Returns the way to end the sockets, which the server itself knows no more. */
export function takeWebSockets(server: Server): () => void {
  const open = new Set<Duplex>();
  server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => {});
    const key = request.headers["sec-websocket-key"];
    if (key === undefined || !paths.includes((request.url ?? "").slice(1)))
      return void socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.once("data", (frame: Buffer) => socket.write(textFrame(greet(unmasked(frame)))));
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}

/** Any client is let in, as long as it says who it is. */
function greet(said: string): unknown {
  try {
    const { authVersion, clientIdentifier, clientPasskey } = JSON.parse(said) as Record<string, unknown>;
    if (authVersion === 1 && typeof clientIdentifier === "string" && typeof clientPasskey === "string")
      return { success: true };
  } catch {
    // Answered below.
  }
  return { success: false, error: "Invalid authentication packet." };
}

/** Text of one short client frame, which is always masked. */
function unmasked(frame: Buffer): string {
  const length = (frame[1] ?? 0) & 0x7f;
  const start = length === 126 ? 8 : 6;
  const mask = frame.subarray(start - 4, start);
  return Buffer.from(frame.subarray(start).map((byte, index) => byte ^ (mask[index % 4] ?? 0))).toString("utf8");
}

function textFrame(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  return Buffer.concat([Buffer.from([0x81, text.length]), text]);
}
