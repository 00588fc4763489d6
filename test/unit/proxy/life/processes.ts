/** Real proxy processes that share one folder, and what each says of itself by its admin socket. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleProxy } from "../../../../infra/host/bundle.ts";
import { listen, type Received, type Sending, send, startUpstream, type Upstream } from "../harness.ts";

export interface Started {
  readonly child: ChildProcess;
  /** Parsed lines of the log; they come up to a second late. */
  readonly lines: Record<string, unknown>[];
  readonly errors: string[];
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;
}

interface Process {
  readonly pid: number;
  readonly status: "ok" | "draining";
  readonly listening: boolean;
  readonly socketPath: string;
}

let program: Promise<Uint8Array> | undefined;

export class Processes implements AsyncDisposable {
  readonly folder: string;
  readonly program: string;
  readonly #children: ChildProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.program = join(folder, "proxy.mjs");
  }

  static async make(): Promise<Processes> {
    const processes = new Processes(await mkdtemp(join(tmpdir(), "lmstack-life-")));
    program ??= bundleProxy();
    await writeFile(processes.program, await program);
    return processes;
  }

  get file(): string {
    return join(this.folder, "proxy.json");
  }

  /** As hosts do it: the file is whole at every moment. */
  async configure(config: object, file = this.file): Promise<void> {
    await writeFile(`${file}.new`, JSON.stringify(config), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  start(...words: string[]): Started {
    const env = { ...process.env, TMPDIR: this.folder, NODE_OPTIONS: "" };
    const child = spawn(process.execPath, [this.program, ...words, "--config", this.file], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    const lines: Record<string, unknown>[] = [];
    const errors: string[] = [];
    let rest = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      const texts = (rest + chunk).split("\n");
      rest = texts.pop() ?? "";
      lines.push(...texts.filter((text) => text.startsWith("{")).map((text) => JSON.parse(text)));
    });
    child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
    return { child, lines, errors, exit: once(child, "exit") as Started["exit"] };
  }

  /** All that answer on an admin socket. */
  async alive(): Promise<Process[]> {
    const names = (await readdir(this.folder)).filter((name) => name.endsWith(".sock"));
    const asked = names.map(async (name) => {
      const socketPath = join(this.folder, name);
      const { text } = await send(0, "/healthz", { socketPath });
      return { ...(JSON.parse(text) as Omit<Process, "socketPath">), socketPath };
    });
    const answered = await Promise.allSettled(asked);
    return answered.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  }

  /** Resolves with the one process that accepts connections, once it is the only one and is not among `former`. */
  async serving(...former: Process[]): Promise<Process> {
    const pids = former.map(({ pid }) => pid);
    return await this.find("one process accepts connections", (all) => {
      const listening = all.filter((one) => one.listening);
      return listening.length === 1 && !pids.includes(listening[0]?.pid ?? 0) ? listening[0] : undefined;
    });
  }

  /** Looks at all until something is found; fails after ten seconds with what was looked for. */
  async find<T>(what: string, found: (all: Process[]) => T | undefined | Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const all = await this.alive();
      const one = await found(all);
      if (one !== undefined) return one;
      if (performance.now() > deadline)
        throw new Error(`not within ten seconds: ${what}; found ${JSON.stringify(all)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a parent process started is nobody's child here.
    for (const { pid } of await this.alive()) process.kill(pid, "SIGKILL");
    for (const child of this.#children) child.kill("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}

export const ask = (at: { readonly socketPath: string }, path: string, sending: Sending = {}): Promise<Received> =>
  send(0, path, { ...sending, socketPath: at.socketPath });

export async function freePort(): Promise<number> {
  const server = http.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface HeldStreams extends AsyncDisposable {
  readonly upstream: Upstream;
  /** One for each stream that began. */
  readonly ends: (() => void)[];
}

/** Streams that stay open until they are told to end, and answers that come at once. */
export async function heldStreams(): Promise<HeldStreams> {
  const ends: (() => void)[] = [];
  const upstream = await startUpstream((response, { body }) => {
    if (!body.includes("stream")) return response.end("{}");
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: {}\n\n");
    ends.push(() => response.end("data: [DONE]\n\n"));
    return undefined;
  });
  return { upstream, ends, [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose]() };
}
