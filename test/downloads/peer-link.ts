/** A peer with the file, on a link of its own of a limited speed. */
import { once } from "node:events";
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { listPieces } from "../../hostctl/transfer/pieces.ts";
import type { Content } from "./content.ts";

const writeBytes = 64 * 1024;

export interface PeerLink extends AsyncDisposable {
  readonly url: string;
  /** Bytes of the file that it sent. */
  readonly sent: () => number;
}

export async function startPeer(content: Pick<Content, "file">, bytesPerSecond: number): Promise<PeerLink> {
  const file = await open(content.file);
  const list = JSON.stringify(await listPieces(content.file));
  let free = 0;
  let sent = 0;
  const server = createServer(async (request, response) => {
    if (request.url?.endsWith("/pieces")) return void response.end(list);
    const [start = 0, end = 0] = (request.headers.range?.match(/\d+/g) ?? []).map(Number);
    response.writeHead(206, { "content-length": end - start + 1 });
    for (let at = start; at <= end && !response.destroyed; at += writeBytes) {
      const length = Math.min(writeBytes, end + 1 - at);
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, at);
      free = Math.max(free, performance.now()) + (length / bytesPerSecond) * 1000;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, free - performance.now())));
      response.write(buffer);
      sent += length;
    }
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => sent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await file.close();
    },
  };
}
