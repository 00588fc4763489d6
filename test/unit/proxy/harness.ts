/** A proxy and an upstream on real sockets, and a client that hides nothing of what comes back. */
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type ProxyConfig, type ProxyConfigInput, proxyConfigSchema } from "../../../infra/spec/proxy-config.ts";
import { type RunningProxy, startProxy } from "../../../proxy/run.ts";

interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly server: http.Server;
  readonly seen: SeenRequest[];
}

export type Answer = (response: http.ServerResponse, request: SeenRequest, socket: net.Socket) => void;

/**
 * Reads each body to its end, then answers; what it leaves open is destroyed at the end. The proxy's own question for the models is
 * answered with `catalog` and not counted; without one it is refused, as by an LM Studio too old for it.
 */
export async function startUpstream(
  answer: Answer,
  catalog: unknown = { error: "Unexpected endpoint or method. (GET /api/v1/models)" },
): Promise<Upstream> {
  const seen: SeenRequest[] = [];
  const server = http.createServer((request, response) => {
    if (request.url === "/api/v1/models") {
      response.setHeader("content-type", "application/json").end(JSON.stringify(catalog));
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", rawHeaders, headers } = request;
      const entry = { method, url, rawHeaders, headers, body: Buffer.concat(chunks).toString() };
      seen.push(entry);
      answer(response, entry, request.socket);
    });
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, server, seen, [Symbol.asyncDispose]: () => close(server) };
}

export interface TestProxy extends RunningProxy, AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  /** Parsed lines of the log. */
  readonly log: Record<string, unknown>[];
}

/** A function is asked at each moment: the configuration as it is reloaded. */
export async function startTestProxy(
  config: Omit<ProxyConfigInput, "listen"> | (() => ProxyConfig),
): Promise<TestProxy> {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-proxy-test-"));
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const fixed =
    typeof config === "function"
      ? undefined
      : proxyConfigSchema.parse({ drainSeconds: 1, ...config, listen: { host: "127.0.0.1", port: 0 } });
  const live = {
    get current() {
      return typeof config === "function" ? config() : (fixed as ProxyConfig);
    },
    problem: undefined,
    onChange: () => {},
    reload: async () => {},
  };
  const proxy = await startProxy(live, folder, logger);
  const dispose = async () => {
    await proxy.drain();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...proxy, port: proxy.address.port, folder, log, [Symbol.asyncDispose]: dispose };
}

export interface Received {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** The connection broke before the answer was complete. */
  readonly broken: boolean;
}

export interface Sending {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly socketPath?: string;
  readonly agent?: http.Agent;
}

/** One request, its whole answer. */
export async function send(port: number, path: string, sending: Sending = {}): Promise<Received> {
  const response = await open(port, path, sending);
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => response.once("close", resolve).once("error", () => {}));
  const { statusCode = 0, headers, rawHeaders } = response;
  return {
    status: statusCode,
    headers,
    rawHeaders,
    text: Buffer.concat(chunks).toString(),
    broken: !response.complete,
  };
}

/** Resolves with the head of the answer; the body is the caller's to read. */
export function open(port: number, path: string, sending: Sending = {}): Promise<http.IncomingMessage> {
  const {
    method = sending.body === undefined ? "GET" : "POST",
    headers = {},
    body,
    socketPath,
    agent = false,
  } = sending;
  return new Promise((resolve, reject) => {
    const where = socketPath === undefined ? { host: "127.0.0.1", port } : { socketPath };
    const request = http.request({ ...where, path, method, headers, agent }, resolve);
    request.once("error", reject);
    request.end(body);
  });
}

export const json = (value: unknown): Sending => ({
  body: JSON.stringify(value),
  headers: { "content-type": "application/json" },
});

/** Sends bytes as they are and resolves with everything until the other side closes. */
export function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.once("close", () => resolve(text)).once("error", reject);
    socket.write(bytes, "latin1");
  });
}

/** Waits for a condition; fails after five seconds with its name. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within five seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function close(server: http.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
