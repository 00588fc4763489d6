/** Many stand-in hosts in this process: what `ssh` is asked comes through one socket, and each host's endpoint listens on a port of its own. */
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { z } from "zod";
import { type SimServer, startSimServer } from "../lmstudio-sim/index.ts";
import { dockerApi } from "./docker-api.ts";
import { StandInHost } from "./host.ts";

const call = z.object({ port: z.number(), words: z.string() });
const asked = z.looseObject({ model: z.string() });

export interface Place {
  readonly name: string;
  /** Of the proxy, on loopback. */
  readonly port: number;
  /** By which its ssh configuration is told from the others. */
  readonly sshPort: number;
}

export const user = "gpu";
const firstSshPort = 20_001;

export class StandInHosts implements AsyncDisposable {
  readonly #folder: string;
  readonly #sim: SimServer;
  readonly #hosts = new Map<
    number,
    { readonly host: StandInHost; readonly docker: Server; readonly endpoint: Server }
  >();
  readonly #socket = createServer({ allowHalfOpen: true }, (socket) => void this.#answer(socket));
  /** Calls that no host knew, in words: a run with any is none. */
  readonly faults: string[] = [];

  private constructor(folder: string, sim: SimServer) {
    this.#folder = folder;
    this.#sim = sim;
  }

  /** @param models that any of the hosts may load */
  static async start(models: readonly string[]): Promise<StandInHosts> {
    const folder = await mkdtemp(join(tmpdir(), "fleet-scale-"));
    const sim = await startSimServer({
      models: models.map((id) => ({ id, thinks: false, tokenMs: 0, contextLength: 32_768 })),
    });
    const hosts = new StandInHosts(folder, sim);
    await mkdir(join(folder, "bin"));
    await symlink(fileURLToPath(new URL("ssh.mjs", import.meta.url)), join(folder, "bin", "ssh"));
    hosts.#socket.listen(join(folder, "socket"));
    await once(hosts.#socket, "listening");
    return hosts;
  }

  /** With which `ssh` reaches these hosts. */
  get env(): Readonly<Record<string, string>> {
    return {
      PATH: `${join(this.#folder, "bin")}:${process.env.PATH}`,
      FLEET_SCALE_SOCKET: join(this.#folder, "socket"),
    };
  }

  async add(name: string): Promise<Place> {
    const host = new StandInHost(user);
    const endpoint = createHttpServer((question, reply) => void this.#serve(host, question, reply));
    endpoint.listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    const sshPort = firstSshPort + this.#hosts.size;
    this.#hosts.set(sshPort, { host, docker: dockerApi(host.containers), endpoint });
    return { name, sshPort, port: (endpoint.address() as AddressInfo).port };
  }

  at({ sshPort }: Place): StandInHost {
    return this.#hosts.get(sshPort)?.host as StandInHost;
  }

  /** Ids of the models that a host has loaded. */
  loadedOn({ sshPort }: Place): string[] {
    return [...(this.#hosts.get(sshPort)?.host.loaded.keys() ?? [])];
  }

  async #answer(socket: Socket): Promise<void> {
    socket.on("error", () => {});
    try {
      const { port, words } = call.parse(JSON.parse(await firstLine(socket)));
      const found = this.#hosts.get(port);
      if (found === undefined) throw new Error(`there is no host behind port ${port}`);
      if (words === "docker system dial-stdio") {
        socket.write("0\n");
        found.docker.emit("connection", socket);
        return;
      }
      const parts: Buffer[] = [];
      for await (const part of socket.iterator({ destroyOnReturn: false })) parts.push(part as Buffer);
      const { code, stdout } = found.host.run(words, Buffer.concat(parts).toString("utf8"));
      socket.end(`${code}\n${stdout}`);
    } catch (error) {
      this.faults.push((error as Error).message);
      socket.destroy();
    }
  }

  /** As the proxy: its own paths, and what models answer. */
  async #serve(host: StandInHost, question: IncomingMessage, reply: ServerResponse): Promise<void> {
    const ready = host.loaded.size > 0 && [...host.containers.values()].some(({ running }) => running);
    const path = question.url ?? "/";
    if (path === "/readyz") return void reply.writeHead(ready ? 200 : 503).end();
    if (path === "/metrics") return void reply.end(metrics([...host.loaded.keys()]));
    const parts: Buffer[] = [];
    for await (const part of question) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const model = question.method === "POST" ? asked.safeParse(JSON.parse(body.toString("utf8"))).data?.model : null;
    if (!ready || (typeof model === "string" && !host.loaded.has(model))) return void reply.writeHead(503).end("{}");
    const answer = await request(`${this.#sim.url}${path}`, {
      method: question.method as "GET" | "POST",
      ...(body.length > 0 ? { body, headers: { "content-type": "application/json" } } : {}),
    });
    reply.writeHead(answer.statusCode, { "content-type": String(answer.headers["content-type"]) });
    await pipeline(answer.body, reply).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = [this.#socket, ...[...this.#hosts.values()].map(({ endpoint }) => endpoint)];
    for (const { endpoint } of this.#hosts.values()) endpoint.closeAllConnections();
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    await this.#sim.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What comes after it stays in the socket. */
async function firstLine(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await once(socket, "readable");
      continue;
    }
    const end = chunk.indexOf("\n");
    if (end < 0) {
      parts.push(chunk);
      continue;
    }
    if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1));
    return Buffer.concat([...parts, chunk.subarray(0, end)]).toString("utf8");
  }
}

/** Of a host at rest that has served well. */
const metrics = (models: readonly string[]): string =>
  [
    "process_start_time_seconds 1",
    `lmstack_ready ${models.length > 0 ? 1 : 0}`,
    ...models.flatMap((model) => [`lmstack_running{model="${model}"} 0`, `lmstack_queued{model="${model}"} 0`]),
    "",
  ].join("\n");
