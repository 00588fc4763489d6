/** An upstream in LM Studio's place that answers when a test says so, and keeps the very bytes that it was sent. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./client.ts";

export interface HeldRequest {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly response: http.ServerResponse;
}

export interface HeldUpstream extends AsyncDisposable {
  readonly port: number;
  /** In the order of their arrival; questions for the models are answered at once and not among them. */
  readonly requests: HeldRequest[];
  /** Resolves once so many have arrived, with the last of them. */
  arrived(count: number): Promise<HeldRequest>;
}

/** `models` are loaded, each with one slot. Listens on all addresses, for containers. */
export async function startHeldUpstream(models: readonly string[] = []): Promise<HeldUpstream> {
  const requests: HeldRequest[] = [];
  const listed = models.map((id) => ({ key: id, loaded_instances: [{ id, config: { parallel: 1 } }] }));
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.url === "/api/v1/models") {
      response.setHeader("content-type", "application/json").end(JSON.stringify({ models: listed }));
      return;
    }
    const { url: path = "", headers } = request;
    requests.push({ path, headers, body: Buffer.concat(chunks).toString(), response });
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    arrived: async (count) => {
      await until(`${count} requests at the upstream`, () => requests.length >= count);
      return requests[count - 1] as HeldRequest;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function answerJson({ response }: HeldRequest, value: unknown): void {
  response.setHeader("content-type", "application/json").end(JSON.stringify(value));
}

/** The head of a stream and its first events. */
export function beginStream({ response }: HeldRequest, ...events: readonly string[]): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) response.write(event);
}
