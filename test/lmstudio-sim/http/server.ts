/** LM Studio's HTTP server: routing, body reading, and what happens to everything that no endpoint takes. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Instances } from "../daemon/instances.ts";
import type { Journal } from "../journal.ts";
import type { Traps } from "../traps.ts";
import { chatCompletions, completions } from "./chat.ts";
import { type Exchange, sendJson } from "./exchange.ts";
import { betaModels, nativeModels, openaiModels } from "./listings.ts";
import { messages } from "./messages.ts";
import { downloadOverRest, loadOverRest, nativeChat, unloadOverRest } from "./native.ts";
import { RequestRefused } from "./refusal.ts";
import { ResponseStore, responses } from "./responses.ts";
import { takeWebSockets } from "./web-socket.ts";

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly cors: boolean;
  readonly instances: Instances;
  readonly journal: Journal;
  readonly traps: () => Traps;
  readonly log?: (type: string, line: unknown) => void;
}

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

type Endpoint = (exchange: Exchange) => Promise<void>;

export async function startHttpServer(options: HttpServerOptions): Promise<RunningServer> {
  const store = new ResponseStore();
  const endpoints = routes(store);
  let lastId = 0;
  let asked = 0;
  const spared = options.traps().serverHangs === "once";
  const server = createServer((request, response) => {
    lastId += 1;
    if (request.method === "POST") asked += 1;
    const traps = options.traps();
    if (traps.crashAfterRequests !== null && asked >= traps.crashAfterRequests) process.kill(process.pid, "SIGKILL");
    if (traps.serverHangs === true || (traps.serverHangs === "once" && !spared)) return;
    void answer(options, endpoints, request, response, lastId);
  });
  // A generation may take hours, and a client may send its body slowly; LM Studio has no limit of its own on either.
  server.requestTimeout = 0;
  const closeSockets = takeWebSockets(server);
  const host = options.traps().bindIgnored ? "127.0.0.1" : options.host;
  await listen(server, host, options.port);
  const { port } = server.address() as AddressInfo;
  options.journal.add({ event: "server", what: "start", port });
  return {
    host,
    port,
    close: async () => {
      options.journal.add({ event: "server", what: "stop", port });
      const closed = new Promise((resolve) => server.close(resolve));
      closeSockets();
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function routes(store: ResponseStore): Readonly<Record<string, Endpoint>> {
  const embeddings: Endpoint = async (exchange) => {
    const input = exchange.body.input;
    const inputs = Array.isArray(input) ? input : [input];
    const vector = (text: unknown): number[] =>
      [...createHash("sha256").update(String(text)).digest()].map((byte) => byte / 255);
    const data = inputs.map((text, index) => ({ object: "embedding", index, embedding: vector(text) }));
    sendJson(exchange.response, 200, {
      object: "list",
      data,
      model: exchange.body.model,
      usage: { prompt_tokens: 0, total_tokens: 0 },
    });
  };
  const json =
    (make: (exchange: Exchange) => unknown): Endpoint =>
    async (exchange) =>
      sendJson(exchange.response, 200, make(exchange));
  return {
    "GET /lmstudio-greeting": json(() => ({ lmstudio: true })),
    "GET /v1/models": json(({ instances }) => openaiModels(instances)),
    "GET /api/v0/models": json(({ instances }) => betaModels(instances)),
    "GET /api/v1/models": json(({ instances, traps }) => nativeModels(instances, traps)),
    "POST /v1/chat/completions": chatCompletions,
    "POST /api/v0/chat/completions": chatCompletions,
    "POST /v1/completions": completions,
    "POST /api/v0/completions": completions,
    "POST /v1/responses": (exchange) => responses(exchange, store),
    "POST /v1/messages": messages,
    "POST /v1/embeddings": embeddings,
    "POST /api/v0/embeddings": embeddings,
    "POST /api/v1/chat": nativeChat,
    "POST /api/v1/models/load": loadOverRest,
    "POST /api/v1/models/unload": unloadOverRest,
    "POST /api/v1/models/download": downloadOverRest,
  };
}

async function answer(
  options: HttpServerOptions,
  endpoints: Readonly<Record<string, Endpoint>>,
  request: IncomingMessage,
  response: ServerResponse,
  id: number,
): Promise<void> {
  const { journal } = options;
  const traps = options.traps();
  const method = request.method ?? "GET";
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished && traps.cancelOnDisconnect) gone.abort();
  });
  response.on("error", () => {});
  if (options.cors) response.setHeader("access-control-allow-origin", "*");
  response.setHeader("x-powered-by", "Express");
  try {
    const raw = await readBody(request);
    journal.add({
      event: "request",
      id,
      method,
      path,
      headers: { ...request.headers },
      body: raw.toString("utf8"),
      bodySha256: createHash("sha256").update(raw).digest("hex"),
    });
    const single = method === "GET" && /^\/api\/v0\/models\/(.+)$/.exec(path);
    if (single) {
      const found = betaModels(options.instances).data.find(
        (model) => model.id === decodeURIComponent(single[1] as string),
      );
      if (found !== undefined) return sendJson(response, 200, found);
    }
    const there = traps.messagesEndpoint || path !== "/v1/messages";
    const endpoint = there ? endpoints[`${method} ${path}`] : undefined;
    if (endpoint === undefined)
      return sendJson(response, traps.unknownPathStatus, {
        error: `Unexpected endpoint or method. (${method} ${path})`,
      });
    const body = method === "POST" ? parseBody(raw) : {};
    options.log?.(
      "server.log",
      `Received request: ${method} ${path}${options.instances.options.settings().logSensitiveData ? ` with body ${raw.toString("utf8")}` : ""}`,
    );
    const log = options.log ?? ((): void => {});
    await endpoint({
      id,
      path,
      body,
      response,
      signal: gone.signal,
      instances: options.instances,
      journal,
      traps,
      log,
    });
  } catch (error) {
    // The client's own going away, in the middle of its body for example, is nobody's failure.
    if (response.destroyed) return;
    const refusal =
      error instanceof RequestRefused
        ? error
        : new RequestRefused(500, error instanceof Error ? error.message : String(error));
    journal.add({ event: "refuse", id, status: refusal.status, message: refusal.message });
    if (response.headersSent) response.end();
    else sendJson(response, refusal.status, refusal.body);
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parseBody(raw: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(raw.toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the refusal.
  }
  throw new RequestRefused(400, "The request body is not a JSON object.", null, "invalid_json");
}
