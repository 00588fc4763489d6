/** The proxy replaced again and again under load, and what clients saw of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { bundleProxy } from "../../infra/host/bundle.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { Random } from "./random.ts";

/** `port`: each process listens itself, with SO_REUSEPORT. `parent`: a parent holds the socket and replaces its child. */
export type Way = "port" | "parent";

export interface HandoverOptions {
  readonly way: Way;
  readonly replacements: number;
  readonly requestsPerSecond: number;
  readonly streams: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

interface Seen {
  requests: number;
  refused: number;
  reset: number;
  wrong: number;
  streams: number;
  cut: number;
  readonly examples: string[];
}

const tokenMs = 20;
/** So often a newcomer that serves already has to leave again before the next replacement. */
const turnDownEach = 5;
const longestStreamTokens = 150;

export async function runHandover(options: HandoverOptions): Promise<Row[]> {
  const { way, replacements, requestsPerSecond, streams, say } = options;
  const random = new Random(options.seed);
  const folder = await mkdtemp(join(tmpdir(), "handover-"));
  const upstream = await startUpstream();
  const serving = await Serving.start(way, folder, upstream.port);
  const seen: Seen = { requests: 0, refused: 0, reset: 0, wrong: 0, streams: 0, cut: 0, examples: [] };
  const load = new Load(serving.port, requestsPerSecond, streams, random, seen);
  let turnedDown = 0;
  try {
    await load.warm();
    for (let i = 1; i <= replacements; i++) {
      await delay(100 + random.below(300));
      if (way === "port" && i % turnDownEach === 0) {
        await serving.turnDown();
        turnedDown++;
      }
      await serving.replace();
      if (i % 5 === 0 || i === replacements)
        say(`${way}: ${i} of ${replacements} replaced, ${seen.requests} requests so far`);
    }
    await delay(300);
  } finally {
    await load.end();
    await serving.end();
    upstream.close();
    await rm(folder, { recursive: true, force: true });
  }
  const none = (name: string, value: number) => ({
    name: `${way}: ${name}`,
    value,
    unit: "",
    bar: "0",
    ok: value === 0,
  });
  return [
    { name: `${way}: replacements`, value: replacements, unit: "", bar: "", ok: true },
    { name: `${way}: newcomers turned down`, value: turnedDown, unit: "", bar: "", ok: true },
    { name: `${way}: requests, a new connection each`, value: seen.requests, unit: "", bar: "", ok: seen.requests > 0 },
    {
      name: `${way}: requests a second`,
      value: Math.round(load.rate),
      unit: "1/s",
      bar: `at least ${requestsPerSecond * 0.95}`,
      ok: load.rate >= requestsPerSecond * 0.95,
    },
    none("refused", seen.refused),
    none("reset", seen.reset),
    none("answered otherwise than 200", seen.wrong),
    { name: `${way}: streams`, value: seen.streams, unit: "", bar: "", ok: seen.streams >= streams },
    none("streams cut", seen.cut),
    mustHold(`${way}: no example of a failure`, seen.examples.length === 0, seen.examples.join("; ") || "none"),
  ];
}

/** Requests at a steady pace, and streams of which a new one begins whenever one ends. */
class Load {
  readonly #port: number;
  readonly #streams: number;
  readonly #random: Random;
  readonly #seen: Seen;
  readonly #pace: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  readonly #began = performance.now();
  #ended: number | undefined;

  constructor(port: number, requestsPerSecond: number, streams: number, random: Random, seen: Seen) {
    this.#port = port;
    this.#streams = streams;
    this.#random = random;
    this.#seen = seen;
    // What a busy machine delayed is made up for.
    this.#pace = setInterval(() => {
      const due = (this.#seconds * requestsPerSecond) | 0;
      while (seen.requests < due) this.#track(this.#request());
    }, 1_000 / requestsPerSecond);
  }

  get #seconds(): number {
    return ((this.#ended ?? performance.now()) - this.#began) / 1_000;
  }

  get rate(): number {
    return this.#seen.requests / this.#seconds;
  }

  /** Resolves once every stream has begun. */
  async warm(): Promise<void> {
    for (let i = 0; i < this.#streams; i++) this.#track(this.#streamAfterStream());
    while (this.#seen.streams < this.#streams) await delay(10);
  }

  async end(): Promise<void> {
    this.#ended = performance.now();
    clearInterval(this.#pace);
    await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #request(): Promise<void> {
    this.#seen.requests++;
    try {
      const { status } = await this.#post({ model: "m", input: "x" });
      if (status !== 200) this.#note("wrong", `status ${status}`);
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      this.#note(code === "ECONNREFUSED" ? "refused" : "reset", `${code} ${message}`);
    }
  }

  async #streamAfterStream(): Promise<void> {
    while (this.#ended === undefined) {
      const tokens = 20 + this.#random.below(longestStreamTokens);
      try {
        const { text } = await this.#post({ model: "m", input: `tokens=${tokens}`, stream: true }, () => {
          this.#seen.streams++;
        });
        if (!text.includes('"response.completed"')) this.#note("cut", `a stream ended after ${text.length} bytes`);
      } catch (error) {
        this.#note("cut", (error as Error).message);
      }
    }
  }

  #post(body: object, onHead = () => {}): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: this.#port, method: "POST", path: "/v1/responses", agent: false };
      const request = http.request(options, (answer) => {
        onHead();
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        answer.once("end", () => resolve({ status: answer.statusCode ?? 0, text })).once("error", reject);
      });
      request.once("error", reject).end(JSON.stringify(body));
    });
  }

  #note(kind: "refused" | "reset" | "wrong" | "cut", words: string): void {
    this.#seen[kind]++;
    if (this.#seen.examples.length < 5) this.#seen.examples.push(`${kind}: ${words}`);
  }
}

/** Real processes from the bundle that hosts run. */
class Serving {
  readonly port: number;
  readonly #way: Way;
  readonly #folder: string;
  readonly #children = new Set<ChildProcess>();
  #current!: ChildProcess;

  private constructor(way: Way, folder: string, port: number) {
    this.#way = way;
    this.#folder = folder;
    this.port = port;
  }

  static async start(way: Way, folder: string, upstreamPort: number): Promise<Serving> {
    const port = await freePort();
    await writeFile(join(folder, "proxy.mjs"), await bundleProxy());
    const config = {
      listen: { host: "127.0.0.1", port },
      upstream: `http://127.0.0.1:${upstreamPort}`,
      models: { m: { slots: 128 } },
      limits: { queue: 1_000 },
      drainSeconds: 60,
    };
    await writeFile(join(folder, "proxy.json"), JSON.stringify(config));
    const serving = new Serving(way, folder, port);
    serving.#current = serving.#spawn(way === "parent" ? ["hold"] : []);
    await says(serving.#current, way === "parent" ? '"serving"' : '"listening"');
    return serving;
  }

  /** Resolves once the successor serves; the predecessor finishes its streams meanwhile. */
  async replace(): Promise<void> {
    if (this.#way === "parent") {
      const served = says(this.#current, '"serving"');
      this.#current.kill("SIGHUP");
      return await served;
    }
    const successor = this.#spawn([]);
    await says(successor, '"listening"');
    this.#current.kill("SIGTERM");
    this.#current = successor;
  }

  /** A newcomer takes over and leaves again, as one that a gate finds wanting; resolves once its predecessor serves as before. */
  async turnDown(): Promise<void> {
    const newcomer = this.#spawn([]);
    await says(newcomer, '"listening"');
    newcomer.kill("SIGTERM");
    await once(newcomer, "close");
  }

  async end(): Promise<void> {
    this.#current.kill("SIGTERM");
    await Promise.all([...this.#children].map((child) => once(child, "close")));
  }

  #spawn(words: readonly string[]): ChildProcess {
    const args = [join(this.#folder, "proxy.mjs"), ...words, "--config", join(this.#folder, "proxy.json")];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, TMPDIR: this.#folder, NODE_OPTIONS: "" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.add(child);
    logs.set(
      child,
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", () => {}),
    );
    child.once("close", () => this.#children.delete(child));
    return child;
  }
}

/** Read to the end, or the process would stop at a full pipe. */
const logs = new WeakMap<ChildProcess, Interface>();

/** Rejects when the process ends before. */
function says(child: ChildProcess, words: string): Promise<void> {
  const lines = logs.get(child) as Interface;
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error(`the proxy ended before it said ${words}`));
    child.once("exit", gone);
    const look = (line: string) => {
      if (!line.includes(`"msg":${words}`)) return;
      child.off("exit", gone);
      lines.off("line", look);
      resolve();
    };
    lines.on("line", look);
  });
}

async function freePort(): Promise<number> {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startUpstream(): Promise<{ port: number; close: () => void }> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const tokens = Number(/tokens=(\d+)/.exec(Buffer.concat(chunks).toString())?.[1] ?? 0);
      if (tokens === 0) {
        response.setHeader("content-type", "application/json").end('{"id":"r","object":"response","output":[]}');
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      let sent = 0;
      const pace = setInterval(() => {
        if (sent++ < tokens) response.write('data: {"type":"response.output_text.delta","delta":"x"}\n\n');
        else
          response.end(
            `data: ${JSON.stringify({ type: "response.completed", response: { id: "resp_1", output: [] } })}\n\n`,
          );
      }, tokenMs);
      response.once("close", () => clearInterval(pace));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
