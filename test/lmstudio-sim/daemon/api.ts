/** The daemon's own port, which only `lms` talks to. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Daemon } from "./daemon.ts";
import type { CallName } from "./protocol.ts";

/** Resolves to the port that it was given, on loopback. */
export async function serveApi(daemon: Daemon): Promise<number> {
  const server = createServer((request, response) => void handle(daemon, request, response));
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function handle(daemon: Daemon, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === "/lms-status") return void response.end(JSON.stringify(daemon.status()));
  if (request.url === "/log") {
    const stop = daemon.log.follow((line) => response.write(`${JSON.stringify(line)}\n`));
    response.on("close", stop);
    response.flushHeaders();
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const name = (request.url ?? "/").slice(1) as CallName;
  try {
    const handler = daemon.handlers[name] as (input: unknown) => Promise<unknown>;
    const result = await handler(JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}"));
    response.end(JSON.stringify({ result }));
  } catch (error) {
    response.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  }
}
